// Rows mixed along the sequence, Linformer's projection (Wang et al. 2020, arXiv:2006.04768, section 4, equation 7):
//   p[b,j,c] = sum over the seen rows i of e[i,j] x[b,i,c],   j in [0, k)
// for all columns c alike: keys, values, or both side by side. Its gradients:
//   dx[b,i,c] = sum_j e[i,j] dp[b,j,c], 0 in rows that are not seen
//   de[i,j] = sum over the sequences b that see row i, and over c, of x[b,i,c] dp[b,j,c]
// Rows that are not seen are not read, whatever they hold. Sums are fp32, in ascending order of i, of j, and of b.
#pragma once
#include "kernels/common/into.hpp"
#include "kernels/common/types.hpp"

namespace weft {

/// x, dx: row i of sequence b at (b N + i) row_stride; p, dp: row j at (b k + j) mixed_stride. e: [N,k], fp32, which
/// may be the first N rows of a longer matrix.
struct MixShape {
  std::int64_t sequences; ///< S
  std::int64_t length;    ///< N
  std::int64_t rank;      ///< k
  std::int64_t width;     ///< columns c
  std::int64_t row_stride, mixed_stride;
};

/// Overwrites p[S,k,width]; seen: (S, ceil(N / 32)) bits, null: all rows are.
template <class T>
void mix_rows_forward(const MixShape& shape, T* p, const float* e, const T* x, const std::uint32_t* seen);

/// Overwrites dx[S,N,width].
template <class T>
void mix_rows_backward_rows(const MixShape& shape, T* dx, const float* e, const T* dp, const std::uint32_t* seen);

/// Overwrites de[N,k], or adds to it: matrices that are used more than once.
template <class T>
void mix_rows_backward_matrix(const MixShape& shape, float* de, const T* dp, const T* x, const std::uint32_t* seen,
                              Into into = Into::overwrite);

namespace reference {
/// Dense rows: row_stride = mixed_stride = width.
void mix_rows_forward(const MixShape& shape, double* p, const double* e, const double* x, const std::uint32_t* seen);
void mix_rows_backward(const MixShape& shape, double* dx, double* de, const double* e, const double* dp,
                       const double* x, const std::uint32_t* seen);
} // namespace reference

} // namespace weft
