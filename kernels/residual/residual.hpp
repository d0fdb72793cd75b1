// The residual addition with dropout on the added branch (Child et al. 2019, section 5.4): the only dropout there is.
//   out = x + mask * y / (1 - p)
// The mask is a function of (seed, step, sample, tensor, element): the backward pass makes it again.
#pragma once
#include "kernels/random/dropout.hpp"

namespace weft {

/// B sequences of N rows of width D.
struct ResidualShape {
  std::int64_t batch, length, width;
};

/// out = x + dropout(y) and, in the same pass, normed = norm(out) with its mean and rstd as norm_forward gives them,
/// all of shape (B N, D), statistics (B N). Overwrites all four; out may be x or y. Element i of a sequence's mask
/// belongs to row i / D, column i mod D. normed may be x too.
template <class T>
void residual_forward(T* out, T* normed, float* mean, float* rstd, const T* x, const T* y, const Dropout& dropout,
                      const float* gain, const float* bias, float epsilon, const ResidualShape& shape);

/// dy = dropout mask * dout / (1 - p), and its column sums, the gradient of the bias that y ends with: dbias[D]. dx is
/// dout itself; so is dy where p = 0. Overwrites dy, which may be dout, and dbias.
/// partial: workspace of column_sum_workspace(B N, D) floats.
template <class T>
void residual_backward(T* dy, float* dbias, const T* dout, const Dropout& dropout, const ResidualShape& shape,
                       float* partial);

/// out = dropout(x) alone, of shape (B N, D); out may be x. With p = 0 a copy. The gradient by x is the same function
/// of the gradient by out.
template <class T>
void dropout_forward(T* out, const T* x, const Dropout& dropout, const ResidualShape& shape);

/// x += factor * dropout(y), of shape (B N, D): a stream U of another type than the branch, and one that is computed
/// backwards (factor -1: with the same mask what was added is taken away again, but for rounding).
template <class U, class T>
void residual_add(U* x, const T* y, float factor, const Dropout& dropout, const ResidualShape& shape);

} // namespace weft
