// Normalisation by the root of the mean square, over the last axis:
//   out[i,j] = gain_j x[i,j] r_i,   r_i = 1 / sqrt(mean of x[i,:]^2 + epsilon)
// with a gain for each channel (Zhang and Sennrich 2019, arXiv:1910.07467, section 4), or one number for all, which is
// the scale normalisation of Nguyen and Salazar 2019 (arXiv:1910.05895, section 2.2) with MEGA's mean in place of the
// sum. Statistics and sums are fp32.
#pragma once
#include "kernels/common/into.hpp"
#include "kernels/common/types.hpp"
#include "kernels/norm/norm.hpp"

namespace weft {

struct RmsShape {
  std::int64_t rows, width; ///< M, D
  bool one_gain = false;
  std::int64_t gains() const { return one_gain ? 1 : width; }
};

/// Overwrites out[M,D], r[M]. gain[gains].
template <class T>
void rms_norm_forward(const RmsShape& shape, T* out, float* r, const T* x, const float* gain, float epsilon);

/// The same out[M,D] from the statistics that rms_norm_forward left.
template <class T>
void rms_norm_again(const RmsShape& shape, T* out, const float* r, const T* x, const float* gain);

/// dx[M,D] += gradient through the norm, or, with Into::overwrite, dx = that gradient, whatever dx holds, and dx may be
/// dout. dgain[gains] overwritten: rows in blocks of norm_block, then the blocks in order. partial: workspace of
/// norm_workspace(rows, width) floats.
template <class T>
void rms_norm_backward(const RmsShape& shape, T* dx, float* dgain, const T* dout, const T* x, const float* r,
                       const float* gain, float* partial, Into into = Into::add);

namespace reference {
void rms_norm_forward(const RmsShape& shape, double* out, double* r, const double* x, const double* gain,
                      double epsilon);
/// Overwrites dx.
void rms_norm_backward(const RmsShape& shape, double* dx, double* dgain, const double* dout, const double* x,
                       const double* r, const double* gain);
} // namespace reference

} // namespace weft
