#include "kernels/activation/activation.hpp"
#include <cmath>

namespace weft::reference {

void activation_forward(double* out, const double* u, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i)
    out[i] = u[i] / (1 + std::exp(-1.702 * u[i]));
}

void activation_backward(double* du, const double* dout, const double* u, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) {
    const double s = 1 / (1 + std::exp(-1.702 * u[i]));
    du[i] = dout[i] * (s + 1.702 * u[i] * s * (1 - s));
  }
}

} // namespace weft::reference
