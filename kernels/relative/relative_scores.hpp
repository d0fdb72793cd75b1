// Scores that depend on the distance of a query and a key alone, as a table for attention (AttentionExtras::table):
//   a_ij = bias[M - 1 + (j - i)],   |j - i| < M
// (Raffel et al. 2020, arXiv:1910.10683, section 2.1, without their buckets; MEGA's "simple" bias). Pairs that are
// further apart have 0.
#pragma once
#include "kernels/common/types.hpp"

namespace weft {

struct RelativeScores {
  std::int64_t length; ///< N, of rows and columns of the table
  std::int64_t reach;  ///< M; bias [2 M - 1]
};

/// Overwrites table [N,N].
void relative_scores_forward(const RelativeScores& shape, float* table, const float* bias);

/// Overwrites dbias: sums along the diagonals of dtable [N,N], from the top.
void relative_scores_backward(const RelativeScores& shape, float* dbias, const float* dtable);

namespace reference {
void relative_scores_forward(const RelativeScores& shape, double* table, const double* bias);
void relative_scores_backward(const RelativeScores& shape, double* dbias, const double* dtable);
} // namespace reference

} // namespace weft
