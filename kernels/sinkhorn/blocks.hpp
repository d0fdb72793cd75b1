// Sequences as blocks of b positions (Tay et al. 2020, arXiv:2002.11296, sections 3.1 and 3.2): their sums, which the
// sort net reads, and their mixture by a sort matrix P,
//   sum_n = sum of the real rows of block n,   sorted_n[s] = sum_k P[n,k] row[k b + s]
// The last block may be short; rows that it lacks and rows that are not real (key bits, as in attention.hpp) are zero
// vectors here, are not read, and get no gradient. A block without a real row is dead: it is not sorted.
// Place s of a sorted block is a key like any other where some block has a real row at s; nobody sees it elsewhere.
// Every sum has one order, fixed by the shape.
#pragma once
#include "kernels/common/into.hpp"
#include "kernels/common/types.hpp"

namespace weft {

struct BlockShape {
  std::int64_t sequences, length, block; ///< S, N, b
  std::int64_t blocks() const { return (length + block - 1) / block; }
  std::int64_t whole() const { return blocks() * block; } ///< W: N filled up
};

/// Overwrites alive (S, n) with 1 where the block has a real row and places (S, b) with 1 where some block has one.
/// seen (S, ceil(N / 32)).
void block_flags(const BlockShape& shape, unsigned char* alive, unsigned char* places, const std::uint32_t* seen);

/// Overwrites bits (S, ceil((begin + W) / 32)), keys of a sequence whose sorted blocks begin at position `begin` >= N:
/// i < N as in seen, begin + n b + s where n is alive and s a place, 0 else.
void sorted_block_bits(const BlockShape& shape, std::int64_t begin, std::uint32_t* bits, const std::uint32_t* seen,
                       const unsigned char* alive, const unsigned char* places);

/// Overwrites sums (S, n, D) from x (S, N, D). seen null: all rows are real.
template <class T>
void block_sums_forward(const BlockShape& shape, std::int64_t width, T* sums, const T* x, const std::uint32_t* seen);
/// Adds to the real rows of dx (S, N, D) what dsums (S, n, D) gives them.
template <class T>
void block_sums_backward(const BlockShape& shape, std::int64_t width, T* dx, const T* dsums, const std::uint32_t* seen);

/// Rows of H heads of `width` numbers: row i of sequence s lies at x[(s length + i) stride], the heads side by side.
struct HeadRows {
  std::int64_t heads, width;
  std::int64_t length, stride;               ///< of the rows of the blocks; length N or more
  std::int64_t sorted_length, sorted_stride; ///< of the sorted ones; length W or more
};

/// Overwrites the W rows of `sorted` with the blocks of `rows` mixed by p (S, H, n, n).
template <class T>
void mix_blocks_forward(const BlockShape& shape, const HeadRows& lie, T* sorted, const T* rows, const float* p,
                        const std::uint32_t* seen);
/// Adds to the real rows of drows what dsorted gives them: drows[k b + s] += sum_n P[n,k] dsorted[n b + s].
template <class T>
void mix_blocks_backward_rows(const BlockShape& shape, const HeadRows& lie, T* drows, const T* dsorted, const float* p,
                              const std::uint32_t* seen);
/// dp[n,k] = sum over real rows k b + s of dsorted[n b + s] . rows[k b + s]; overwrites dp or adds to it.
template <class T>
void mix_blocks_backward_weights(const BlockShape& shape, const HeadRows& lie, float* dp, const T* dsorted,
                                 const T* rows, const std::uint32_t* seen, Into into);

namespace reference {
/// Dense rows (S, N, C) and sorted (S, W, C), C = H width.
void block_sums_forward(const BlockShape& shape, std::int64_t width, double* sums, const double* x,
                        const std::uint32_t* seen);
void block_sums_backward(const BlockShape& shape, std::int64_t width, double* dx, const double* dsums,
                         const std::uint32_t* seen);
void mix_blocks_forward(const BlockShape& shape, std::int64_t heads, std::int64_t width, double* sorted,
                        const double* rows, const double* p, const std::uint32_t* seen);
/// Adds to drows and dp.
void mix_blocks_backward(const BlockShape& shape, std::int64_t heads, std::int64_t width, double* drows, double* dp,
                         const double* dsorted, const double* rows, const double* p, const std::uint32_t* seen);
} // namespace reference

} // namespace weft
