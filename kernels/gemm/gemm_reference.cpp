#include "kernels/gemm/gemm.hpp"

namespace weft::reference {

void linear_forward(const LinearShape& s, double* y, const double* x, const double* w, const double* b) {
  for (std::int64_t i = 0; i < s.rows; ++i)
    for (std::int64_t j = 0; j < s.outputs; ++j) {
      double sum = b ? b[j] : 0;
      for (std::int64_t k = 0; k < s.inputs; ++k)
        sum += x[i * s.inputs + k] * w[k * s.outputs + j];
      y[i * s.outputs + j] = sum;
    }
}

void linear_backward_input(const LinearShape& s, double* dx, const double* dy, const double* w) {
  for (std::int64_t i = 0; i < s.rows; ++i)
    for (std::int64_t k = 0; k < s.inputs; ++k) {
      double sum = 0;
      for (std::int64_t j = 0; j < s.outputs; ++j)
        sum += dy[i * s.outputs + j] * w[k * s.outputs + j];
      dx[i * s.inputs + k] = sum;
    }
}

void linear_backward_weight(const LinearShape& s, double* dw, const double* x, const double* dy, Into into) {
  for (std::int64_t k = 0; k < s.inputs; ++k)
    for (std::int64_t j = 0; j < s.outputs; ++j) {
      double sum = 0;
      for (std::int64_t i = 0; i < s.rows; ++i)
        sum += x[i * s.inputs + k] * dy[i * s.outputs + j];
      dw[k * s.outputs + j] = into == Into::add ? dw[k * s.outputs + j] + sum : sum;
    }
}

} // namespace weft::reference
