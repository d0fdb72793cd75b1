#include "kernels/optimizer/optimizer.hpp"
#include "kernels/common/kokkos.hpp"
#include <cmath>

namespace weft {

void adam_step(float* w, float* m, float* v, const float* dw, std::int64_t n, const AdamStep& s) {
  const double t = static_cast<double>(s.step);
  const float beta1 = static_cast<float>(s.beta1), beta2 = static_cast<float>(s.beta2);
  const float rest1 = static_cast<float>(1 - s.beta1), rest2 = static_cast<float>(1 - s.beta2);
  const float correct1 = static_cast<float>(1 / (1 - std::pow(s.beta1, t)));
  const float correct2 = static_cast<float>(1 / (1 - std::pow(s.beta2, t)));
  const float rate = static_cast<float>(s.learning_rate), epsilon = static_cast<float>(s.epsilon);
  const float factor = static_cast<float>(s.gradient_factor);
  const float coupled = s.decoupled ? 0.0f : static_cast<float>(s.weight_decay);
  const float decay = s.decoupled ? static_cast<float>(s.weight_decay) : 0.0f;
  constexpr std::int64_t chunk = 1024;
  for_each(
      "weft::adam_step", (n + chunk - 1) / chunk, KOKKOS_LAMBDA(std::int64_t c) {
        const std::int64_t end = (c + 1) * chunk < n ? (c + 1) * chunk : n;
        for (std::int64_t i = c * chunk; i < end; ++i) {
          const float g = factor * dw[i] + coupled * w[i];
          m[i] = beta1 * m[i] + rest1 * g;
          v[i] = beta2 * v[i] + rest2 * g * g;
          const float change = correct1 * m[i] / (Kokkos::sqrt(correct2 * v[i]) + epsilon);
          w[i] -= rate * (change + decay * w[i]);
        }
      });
}

void running_step(float* w, const float* measured, std::int64_t n, double momentum, double factor) {
  const float share = static_cast<float>(momentum), by = static_cast<float>(factor);
  for_each(
      "weft::running_step", n, KOKKOS_LAMBDA(std::int64_t i) { w[i] += share * (by * measured[i] - w[i]); });
}

} // namespace weft
