// Batch normalisation (Ioffe and Szegedy 2015, arXiv:1502.03167, algorithm 1) over the rows of a micro-batch:
//   out[i,j] = gain_j (x[i,j] - mean_j) r_j + bias_j,   r_j = 1 / sqrt(variance_j + epsilon)
// mean_j and variance_j (divisor n) are those of channel j over the n rows that are seen, of all S sequences together.
// Rows that are not seen are read nowhere, whatever they hold; their out is 0. An evaluation takes running statistics
// for mean and variance (section 3.1), which the optimizer's running_step keeps.
//
// Statistics are found in one pass over memory: every block of 64 rows of a sequence has its mean and its squares about
// it, and the squares about the mean of all follow from these (Chan, Golub and LeVeque 1983), so that nothing cancels.
// Sums in a block are fp32; the blocks are added in order, in fp64. A block without a seen row adds nothing, so that
// padding to more blocks changes no bit.
#pragma once
#include "kernels/common/into.hpp"
#include "kernels/common/types.hpp"

namespace weft {

constexpr std::int64_t batch_norm_block = 64; ///< rows of a sequence

/// S sequences of N rows of width D. seen (S, ceil(N / 32)): as kernels/pool/pool.hpp; null: every row is.
struct BatchNormShape {
  std::int64_t sequences, length, width;
};

/// Overwrites mean[D], r[D], and variance[D], that with the divisor n - 1, which running statistics are made of; 0 of a
/// single row. workspace: batch_norm_workspace(shape) floats.
template <class T>
void batch_norm_statistics(const BatchNormShape& shape, float* mean, float* r, float* variance, const T* x,
                           const std::uint32_t* seen, float epsilon, float* workspace);

/// r[D] = 1 / sqrt(variance + epsilon), overwritten: for an evaluation, from running statistics.
void batch_norm_scale(float* r, const float* variance, std::int64_t width, float epsilon);

/// Overwrites out[S,N,D].
template <class T>
void batch_norm_apply(const BatchNormShape& shape, T* out, const T* x, const float* mean, const float* r,
                      const float* gain, const float* bias, const std::uint32_t* seen);

/// dx += gradient through the norm and its statistics, or, with Into::overwrite, dx = that gradient, whatever dx holds,
/// and dx may be dout. dgain[D], dbias[D] overwritten. mean, r: of batch_norm_statistics. The gradient of a row that is
/// not seen is 0. workspace: batch_norm_workspace(shape) floats.
template <class T>
void batch_norm_backward(const BatchNormShape& shape, T* dx, float* dgain, float* dbias, const T* dout, const T* x,
                         const float* mean, const float* r, const float* gain, const std::uint32_t* seen,
                         float* workspace, Into into = Into::add);

constexpr std::int64_t batch_norm_workspace(const BatchNormShape& s) {
  return 2 * (s.sequences * ((s.length + batch_norm_block - 1) / batch_norm_block) + 1) * s.width;
}

namespace reference {
void batch_norm_statistics(const BatchNormShape& shape, double* mean, double* r, double* variance, const double* x,
                           const std::uint32_t* seen, double epsilon);
void batch_norm_apply(const BatchNormShape& shape, double* out, const double* x, const double* mean, const double* r,
                      const double* gain, const double* bias, const std::uint32_t* seen);
/// Overwrites dx.
void batch_norm_backward(const BatchNormShape& shape, double* dx, double* dgain, double* dbias, const double* dout,
                         const double* x, const double* mean, const double* r, const double* gain,
                         const std::uint32_t* seen);
} // namespace reference

} // namespace weft
