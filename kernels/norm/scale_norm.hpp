// Scale normalisation over the last axis (Nguyen and Salazar 2019, arXiv:1910.05895, section 2.2, with MEGA's mean in
// place of the sum):
//   out[i,:] = g x[i,:] r_i,   r_i = 1 / sqrt(mean of x[i,:]^2 + epsilon),   g one number
// Statistics and sums are fp32.
#pragma once
#include "kernels/common/into.hpp"
#include "kernels/common/types.hpp"
#include "kernels/norm/norm.hpp"

namespace weft {

/// Overwrites out[M,D], r[M].
template <class T>
void scale_norm_forward(T* out, float* r, const T* x, const float* gain, std::int64_t rows, std::int64_t width,
                        float epsilon);

/// The same out[M,D] from the statistics that scale_norm_forward left.
template <class T>
void scale_norm_again(T* out, const float* r, const T* x, const float* gain, std::int64_t rows, std::int64_t width);

/// dx[M,D] += gradient through the norm, or, with Into::overwrite, dx = that gradient, whatever dx holds, and dx may be
/// dout. dgain[1] overwritten: rows in blocks of norm_block, then the blocks in order.
/// partial: workspace of norm_workspace(rows, width) floats.
template <class T>
void scale_norm_backward(T* dx, float* dgain, const T* dout, const T* x, const float* r, const float* gain,
                         std::int64_t rows, std::int64_t width, float* partial, Into into = Into::add);

namespace reference {
void scale_norm_forward(double* out, double* r, const double* x, const double* gain, std::int64_t rows,
                        std::int64_t width, double epsilon);
/// Overwrites dx.
void scale_norm_backward(double* dx, double* dgain, const double* dout, const double* x, const double* r,
                         const double* gain, std::int64_t rows, std::int64_t width);
} // namespace reference

} // namespace weft
