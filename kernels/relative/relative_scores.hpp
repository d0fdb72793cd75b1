// Scores that depend on the distance of a query and a key alone, as a table for attention (AttentionExtras::table):
//   a_ij = bias[M - 1 + (j - i)],   |j - i| < M
// (Raffel et al. 2020, arXiv:1910.10683, section 2.1, without their buckets; MEGA's "simple" bias). Pairs that are
// further apart have 0.
//
// With chunks of c positions the table has those pairs alone that lie in one chunk, j div c = i div c: a_ij is
// table[i c + j], which no two of them share, and c N numbers and N do.
#pragma once
#include "kernels/common/types.hpp"

namespace weft {

struct RelativeScores {
  std::int64_t length;    ///< N, of queries and of keys
  std::int64_t reach;     ///< M; bias [2 M - 1]
  std::int64_t chunk = 0; ///< c; 0: one chunk of N positions

  /// Between two rows of the table: table_stride of attention.
  constexpr std::int64_t stride() const { return chunk > 0 && chunk < length ? chunk : length; }
  constexpr std::int64_t numbers() const { return stride() == length ? length * length : (stride() + 1) * length; }
};

/// Overwrites the pairs of the table, numbers() long; what lies between them stays.
void relative_scores_forward(const RelativeScores& shape, float* table, const float* bias);

/// Overwrites dbias: sums along the diagonals of the pairs of dtable, from the top.
void relative_scores_backward(const RelativeScores& shape, float* dbias, const float* dtable);

namespace reference {
void relative_scores_forward(const RelativeScores& shape, double* table, const double* bias);
void relative_scores_backward(const RelativeScores& shape, double* dbias, const double* dtable);
} // namespace reference

} // namespace weft
