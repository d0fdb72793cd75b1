#include "kernels/norm/scale_norm.hpp"
#include <cmath>

namespace weft::reference {

void scale_norm_forward(double* out, double* r, const double* x, const double* gain, std::int64_t rows,
                        std::int64_t width, double epsilon) {
  for (std::int64_t i = 0; i < rows; ++i) {
    double squares = 0;
    for (std::int64_t j = 0; j < width; ++j)
      squares += x[i * width + j] * x[i * width + j];
    r[i] = 1 / std::sqrt(squares / static_cast<double>(width) + epsilon);
    for (std::int64_t j = 0; j < width; ++j)
      out[i * width + j] = *gain * x[i * width + j] * r[i];
  }
}

void scale_norm_backward(double* dx, double* dgain, const double* dout, const double* x, const double* r,
                         const double* gain, std::int64_t rows, std::int64_t width) {
  *dgain = 0;
  for (std::int64_t i = 0; i < rows; ++i) {
    double dot = 0;
    for (std::int64_t j = 0; j < width; ++j)
      dot += dout[i * width + j] * x[i * width + j];
    *dgain += dot * r[i];
    for (std::int64_t j = 0; j < width; ++j)
      dx[i * width + j] =
          *gain * r[i] * (dout[i * width + j] - x[i * width + j] * r[i] * r[i] * dot / static_cast<double>(width));
  }
}

} // namespace weft::reference
