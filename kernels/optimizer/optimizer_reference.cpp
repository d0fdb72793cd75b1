#include "kernels/optimizer/optimizer.hpp"
#include <cmath>

namespace weft::reference {

void adam_step(double* w, double* m, double* v, const double* dw, std::int64_t n, const AdamStep& s) {
  const double t = static_cast<double>(s.step);
  for (std::int64_t i = 0; i < n; ++i) {
    double g = s.gradient_factor * dw[i];
    if (!s.decoupled)
      g += s.weight_decay * w[i];
    m[i] = s.beta1 * m[i] + (1 - s.beta1) * g;
    v[i] = s.beta2 * v[i] + (1 - s.beta2) * g * g;
    double change = m[i] / (1 - std::pow(s.beta1, t)) / (std::sqrt(v[i] / (1 - std::pow(s.beta2, t))) + s.epsilon);
    if (s.decoupled)
      change += s.weight_decay * w[i];
    w[i] -= s.learning_rate * change;
  }
}

void running_step(double* w, const double* measured, std::int64_t n, double momentum, double factor) {
  for (std::int64_t i = 0; i < n; ++i)
    w[i] = (1 - momentum) * w[i] + momentum * factor * measured[i];
}

} // namespace weft::reference
