#include "kernels/norm/rms_norm.hpp"
#include <algorithm>
#include <cmath>

namespace weft::reference {

void rms_norm_forward(double* out, double* r, const double* x, const double* gain, std::int64_t rows,
                      std::int64_t width, double epsilon) {
  for (std::int64_t i = 0; i < rows; ++i) {
    double squares = 0;
    for (std::int64_t j = 0; j < width; ++j)
      squares += x[i * width + j] * x[i * width + j];
    r[i] = 1 / std::sqrt(squares / static_cast<double>(width) + epsilon);
    for (std::int64_t j = 0; j < width; ++j)
      out[i * width + j] = gain[j] * x[i * width + j] * r[i];
  }
}

void rms_norm_backward(double* dx, double* dgain, const double* dout, const double* x, const double* r,
                       const double* gain, std::int64_t rows, std::int64_t width) {
  std::fill_n(dgain, width, 0.0);
  for (std::int64_t i = 0; i < rows; ++i) {
    double dot = 0;
    for (std::int64_t j = 0; j < width; ++j) {
      const std::int64_t at = i * width + j;
      dot += gain[j] * dout[at] * x[at];
      dgain[j] += dout[at] * x[at] * r[i];
    }
    for (std::int64_t j = 0; j < width; ++j) {
      const std::int64_t at = i * width + j;
      dx[at] = r[i] * (gain[j] * dout[at] - x[at] * r[i] * r[i] * dot / static_cast<double>(width));
    }
  }
}

} // namespace weft::reference
