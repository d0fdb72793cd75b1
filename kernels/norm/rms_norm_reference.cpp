#include "kernels/norm/rms_norm.hpp"
#include <algorithm>
#include <cmath>

namespace weft::reference {

void rms_norm_forward(const RmsShape& shape, double* out, double* r, const double* x, const double* gain,
                      double epsilon) {
  const std::int64_t D = shape.width;
  for (std::int64_t i = 0; i < shape.rows; ++i) {
    double squares = 0;
    for (std::int64_t j = 0; j < D; ++j)
      squares += x[i * D + j] * x[i * D + j];
    r[i] = 1 / std::sqrt(squares / static_cast<double>(D) + epsilon);
    for (std::int64_t j = 0; j < D; ++j)
      out[i * D + j] = gain[shape.one_gain ? 0 : j] * x[i * D + j] * r[i];
  }
}

void rms_norm_backward(const RmsShape& shape, double* dx, double* dgain, const double* dout, const double* x,
                       const double* r, const double* gain) {
  const std::int64_t D = shape.width;
  std::fill_n(dgain, shape.gains(), 0.0);
  for (std::int64_t i = 0; i < shape.rows; ++i) {
    double dot = 0;
    for (std::int64_t j = 0; j < D; ++j) {
      const std::int64_t at = i * D + j, g = shape.one_gain ? 0 : j;
      dot += gain[g] * dout[at] * x[at];
      dgain[g] += dout[at] * x[at] * r[i];
    }
    for (std::int64_t j = 0; j < D; ++j) {
      const std::int64_t at = i * D + j, g = shape.one_gain ? 0 : j;
      dx[at] = r[i] * (gain[g] * dout[at] - x[at] * r[i] * r[i] * dot / static_cast<double>(D));
    }
  }
}

} // namespace weft::reference
