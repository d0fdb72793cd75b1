#include "kernels/recurrence/skip.hpp"
#include <algorithm>

namespace weft::reference {

void skip_forward(double* y, const double* x, const double* d, std::int64_t rows, std::int64_t width) {
  for (std::int64_t i = 0; i < rows * width; ++i)
    y[i] += d[i % width] * x[i];
}

void skip_backward(double* dx, double* dd, const double* dy, const double* x, const double* d, std::int64_t rows,
                   std::int64_t width) {
  std::fill_n(dd, width, 0.0);
  for (std::int64_t i = 0; i < rows * width; ++i) {
    dx[i] += d[i % width] * dy[i];
    dd[i % width] += dy[i] * x[i];
  }
}

} // namespace weft::reference
