#include "kernels/synthesizer/mixture.hpp"
#include <cmath>

namespace weft::reference {

void mixture_forward(std::int64_t n, double* mixed, const double* products, const double* synthetic, double a) {
  const double s = 1 / (1 + std::exp(-a));
  for (std::int64_t i = 0; i < n; ++i)
    mixed[i] = (1 - s) * products[i] + s * synthetic[i];
}

void mixture_backward(std::int64_t n, double* dproducts, double* dsynthetic, double* da, const double* dmixed,
                      const double* products, const double* synthetic, double a) {
  const double s = 1 / (1 + std::exp(-a));
  *da = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    dproducts[i] = (1 - s) * dmixed[i];
    dsynthetic[i] = s * dmixed[i];
    *da += s * (1 - s) * dmixed[i] * (synthetic[i] - products[i]);
  }
}

} // namespace weft::reference
