// Layer normalisation over the last axis.
//   out[i,:] = gain * (x[i,:] - mean_i) * rstd_i + bias,  rstd_i = 1/sqrt(variance_i + epsilon), variance over D,
//   biased
// Ba, Kiros, Hinton 2016 (arXiv:1607.06450), section 3. Statistics and sums are fp32.
#pragma once
#include "kernels/common/into.hpp"
#include "kernels/common/types.hpp"

namespace weft {

/// Overwrites out[M,D], mean[M], rstd[M].
template <class T>
void norm_forward(T* out, float* mean, float* rstd, const T* x, const float* gain, const float* bias, std::int64_t rows,
                  std::int64_t width, float epsilon);

/// The same out[M,D] from the statistics that norm_forward left.
template <class T>
void norm_again(T* out, const float* mean, const float* rstd, const T* x, const float* gain, const float* bias,
                std::int64_t rows, std::int64_t width);

/// dx[M,D] += gradient through the norm (the residual path's gradient is already there), or, with Into::overwrite, dx =
/// that gradient, whatever dx holds, and dx may be dout. dgain[D], dbias[D] overwritten.
/// partial: workspace of norm_workspace(rows, width) floats.
template <class T>
void norm_backward(T* dx, float* dgain, float* dbias, const T* dout, const T* x, const float* mean, const float* rstd,
                   const float* gain, std::int64_t rows, std::int64_t width, float* partial, Into into = Into::add);

/// Parameter gradients are summed in blocks of this many rows, then the blocks in order.
constexpr std::int64_t norm_block = 64;
constexpr std::int64_t norm_workspace(std::int64_t rows, std::int64_t width) {
  return 2 * ((rows + norm_block - 1) / norm_block) * width;
}

namespace reference {
void norm_forward(double* out, double* mean, double* rstd, const double* x, const double* gain, const double* bias,
                  std::int64_t rows, std::int64_t width, double epsilon);
void norm_backward(double* dx, double* dgain, double* dbias, const double* dout, const double* x, const double* mean,
                   const double* rstd, const double* gain, std::int64_t rows, std::int64_t width);
} // namespace reference

} // namespace weft
