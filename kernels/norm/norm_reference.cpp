#include "kernels/norm/norm.hpp"
#include <cmath>

namespace weft::reference {

void norm_forward(double* out, double* mean, double* rstd, const double* x, const double* gain, const double* bias,
                  std::int64_t rows, std::int64_t width, double epsilon) {
  for (std::int64_t i = 0; i < rows; ++i) {
    double sum = 0, squares = 0;
    for (std::int64_t j = 0; j < width; ++j)
      sum += x[i * width + j];
    mean[i] = sum / static_cast<double>(width);
    for (std::int64_t j = 0; j < width; ++j)
      squares += (x[i * width + j] - mean[i]) * (x[i * width + j] - mean[i]);
    rstd[i] = 1 / std::sqrt(squares / static_cast<double>(width) + epsilon);
    for (std::int64_t j = 0; j < width; ++j)
      out[i * width + j] = gain[j] * (x[i * width + j] - mean[i]) * rstd[i] + bias[j];
  }
}

void norm_backward(double* dx, double* dgain, double* dbias, const double* dout, const double* x, const double* mean,
                   const double* rstd, const double* gain, std::int64_t rows, std::int64_t width) {
  for (std::int64_t j = 0; j < width; ++j)
    dgain[j] = dbias[j] = 0;
  for (std::int64_t i = 0; i < rows; ++i) {
    double sum = 0, dot = 0; // of g = gain * dout, and of g * normalised x
    for (std::int64_t j = 0; j < width; ++j) {
      const double normalised = (x[i * width + j] - mean[i]) * rstd[i], d = dout[i * width + j];
      dgain[j] += d * normalised;
      dbias[j] += d;
      sum += gain[j] * d;
      dot += gain[j] * d * normalised;
    }
    const double n = static_cast<double>(width);
    for (std::int64_t j = 0; j < width; ++j) {
      const double normalised = (x[i * width + j] - mean[i]) * rstd[i];
      dx[i * width + j] += rstd[i] * (gain[j] * dout[i * width + j] - sum / n - normalised * dot / n);
    }
  }
}

} // namespace weft::reference
