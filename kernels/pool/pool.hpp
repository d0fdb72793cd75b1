// From the rows of a sequence to one vector: x (S, N, D) to out (S, D). Sums are fp32, in blocks of 64 rows, the blocks
// in order.
//   first  out[s,:] = x[s,0,:]
//   last   out[s,:] = x[s,i,:], i the last seen row
//   mean   out[s,:] = sum over the seen rows i of x[s,i,:] / n_s, n_s = the number of seen rows, or a number given
// Rows that are not seen are not read, whatever they hold.
#pragma once
#include "kernels/common/types.hpp"

namespace weft {

/// S sequences of N rows of width D.
struct PoolShape {
  std::int64_t sequences, length, width;
};

/// Which rows are seen: bit i % 32 of word i / 32 of a sequence's row of words (S, seen_words(N)). Bits from N on are
/// not read.
WEFT_FUNCTION constexpr std::int64_t seen_words(std::int64_t length) { return (length + 31) / 32; }
/// Whether row i of sequence s is seen; seen: null where all are. words: seen_words(N).
WEFT_FUNCTION bool is_seen(const std::uint32_t* seen, std::int64_t words, std::int64_t s, std::int64_t i) {
  return !seen || (seen[s * words + i / 32] >> (i % 32) & 1u) != 0;
}

/// Overwrites out[S,D].
template <class T>
void pool_first_forward(T* out, const T* x, const PoolShape& shape);

/// Overwrites dx[S,N,D]: dout in row 0, zeros in the others.
template <class T>
void pool_first_backward(T* dx, const T* dout, const PoolShape& shape);

/// Overwrites out[S,D]. seen: null where every row is. A sequence without a seen row gives zeros.
template <class T>
void pool_last_forward(T* out, const T* x, const std::uint32_t* seen, const PoolShape& shape);

/// Overwrites dx[S,N,D]: dout in the last seen row, zeros in the others.
template <class T>
void pool_last_backward(T* dx, const T* dout, const std::uint32_t* seen, const PoolShape& shape);

/// Overwrites out[S,D]. seen: null where every row is. divisor: what the sum is divided by; 0: the number of seen rows
/// of each sequence. A sequence without a seen row gives zeros.
/// partial: workspace of pool_workspace(shape) floats.
template <class T>
void pool_mean_forward(T* out, const T* x, const std::uint32_t* seen, float divisor, const PoolShape& shape,
                       float* partial);

/// Overwrites dx[S,N,D]: dout / n_s in the seen rows, zeros in the others.
template <class T>
void pool_mean_backward(T* dx, const T* dout, const std::uint32_t* seen, float divisor, const PoolShape& shape);

constexpr std::int64_t pool_block = 64; ///< rows of a block
constexpr std::int64_t pool_workspace(const PoolShape& s) {
  return s.sequences * ((s.length + pool_block - 1) / pool_block) * s.width;
}

namespace reference {
void pool_first_forward(double* out, const double* x, const PoolShape& shape);
void pool_first_backward(double* dx, const double* dout, const PoolShape& shape);
void pool_last_forward(double* out, const double* x, const std::uint32_t* seen, const PoolShape& shape);
void pool_last_backward(double* dx, const double* dout, const std::uint32_t* seen, const PoolShape& shape);
void pool_mean_forward(double* out, const double* x, const std::uint32_t* seen, double divisor, const PoolShape& shape);
void pool_mean_backward(double* dx, const double* dout, const std::uint32_t* seen, double divisor,
                        const PoolShape& shape);
} // namespace reference

} // namespace weft
