// Normalisation by the root of the mean square (Zhang and Sennrich 2019, arXiv:1910.07467, section 4), over the last
// axis:
//   out[i,j] = gain_j x[i,j] r_i,   r_i = 1 / sqrt(mean of x[i,:]^2 + epsilon)
// Statistics and sums are fp32.
#pragma once
#include "kernels/common/into.hpp"
#include "kernels/common/types.hpp"
#include "kernels/norm/norm.hpp"

namespace weft {

/// Overwrites out[M,D], r[M].
template <class T>
void rms_norm_forward(T* out, float* r, const T* x, const float* gain, std::int64_t rows, std::int64_t width,
                      float epsilon);

/// The same out[M,D] from the statistics that rms_norm_forward left.
template <class T>
void rms_norm_again(T* out, const float* r, const T* x, const float* gain, std::int64_t rows, std::int64_t width);

/// dx[M,D] += gradient through the norm, or, with Into::overwrite, dx = that gradient, whatever dx holds, and dx may be
/// dout. dgain[D] overwritten: rows in blocks of norm_block, then the blocks in order.
/// partial: workspace of norm_workspace(rows, width) floats.
template <class T>
void rms_norm_backward(T* dx, float* dgain, const T* dout, const T* x, const float* r, const float* gain,
                       std::int64_t rows, std::int64_t width, float* partial, Into into = Into::add);

namespace reference {
void rms_norm_forward(double* out, double* r, const double* x, const double* gain, std::int64_t rows,
                      std::int64_t width, double epsilon);
/// Overwrites dx.
void rms_norm_backward(double* dx, double* dgain, const double* dout, const double* x, const double* r,
                       const double* gain, std::int64_t rows, std::int64_t width);
} // namespace reference

} // namespace weft
