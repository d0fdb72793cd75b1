// Padded queries as the Long Range Arena's released code has them. It adds -1e10 to the scores of a padded query in
// fp32, which swallows the scores: the row's weights are 1/N over all N positions, padded ones too.
//   out_i = (1/N) sum_j v_j   for every position i that is not real
// The weights are constants, so the true derivative has no part through q and k:
//   dv_j += (1/N) sum over those i of dout_i
// Where attention runs inside sets, of the positions of one residue mod C each, N / C of them, the weights are uniform
// over the query's own set:
//   out_i = (C/N) sum_{j = i mod C} v_j
// (The released code's own backward pass lets score gradients of weight 1/N through; this is the derivative of what it
// computes forward.) Sums are fp32, over the positions in order.
#pragma once
#include "kernels/attention/tiles.hpp"
#include "kernels/common/types.hpp"

namespace weft {

// `sets` is C, which divides N; 1: all positions are one set.

/// Floats of workspace for the two passes below: (B, C, H Ev).
constexpr std::int64_t padded_rows_workspace(const AttentionShape& s, std::int64_t sets = 1) {
  return s.batch * sets * s.heads * s.value_width;
}

/// Overwrites the rows of out[B,N,H,Ev] whose bit in seen (B, ceil(N/32)) is 0; v and out with the strides of `shape`.
template <class T>
void padded_rows_forward(const AttentionShape& shape, T* out, const T* v, const std::uint32_t* seen, float* workspace,
                         std::int64_t sets = 1);

/// In front of attention_backward: sums the padded rows of dout into the workspace and sets them to zero.
template <class T>
void padded_rows_take(const AttentionShape& shape, T* dout, const std::uint32_t* seen, float* workspace,
                      std::int64_t sets = 1);

/// Behind it: adds their share to every row of dv[B,N,H,Ev].
template <class T>
void padded_rows_give(const AttentionShape& shape, T* dv, const float* workspace, std::int64_t sets = 1);

/// BigBird's released code multiplies finished rows by their bit instead: overwrites the rows of x[B,N,H,Ev], out or
/// dout, whose bit is 0 with zeros.
template <class T>
void padded_rows_clear(const AttentionShape& shape, T* x, const std::uint32_t* seen);

namespace reference {
/// Dense rows: v, out, dout, dv (B, N, C), C = H Ev.
void padded_rows_forward(double* out, const double* v, const std::uint32_t* seen, std::int64_t batch,
                         std::int64_t length, std::int64_t width, std::int64_t sets = 1);
void padded_rows_backward(double* dv, const double* dout, const std::uint32_t* seen, std::int64_t batch,
                          std::int64_t length, std::int64_t width, std::int64_t sets = 1);
} // namespace reference

} // namespace weft
