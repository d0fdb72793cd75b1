// Factorised dense scores (Tay et al. 2021, "Synthesizer: rethinking self-attention for Transformer models",
// arXiv:2005.00743, section 3.1): a token makes two short rows of numbers, which are tiled and repeated to the length
// of the sequence and multiplied,
//   alpha_i = W' relu(u_i + b) + c, A numbers;   beta_i likewise, of hidden numbers of its own, C = ceil(N / A) numbers
//   a_ij = alpha_i[j mod A] beta_i[j div A]
// No narrow factors have these products. But over the keys of one block, j = s A + r, they are
//   q'_i = (q_i, g beta_i[s] alpha_i),  k'_j = (k_j, e_r),   q' . k' / g = q . k / g + a,  e_r: one at r, else zero,
// so that attention runs block by block with the scale 1 / g, and the blocks' outputs are joined by their log-sum-exp:
// memory of N (A + C) numbers, never of N x N. With the joined log-sum-exp and output the gradient of a block is
// attention's own.
#pragma once
#include "kernels/common/types.hpp"

namespace weft {

/// A for sequences of up to `longest` positions: about their root, and whole words of key bits.
constexpr std::int64_t factored_inner(std::int64_t longest) {
  std::int64_t inner = 32;
  while (inner * inner < longest)
    inner += 32;
  return inner;
}

/// u: rows at row_stride, [H,d]; factors [R,H,n]; bias [H,d]; w [H,d,n]; c [H,n].
struct FactorShape {
  std::int64_t rows, heads, hidden, numbers; ///< R, H, d, n
  std::int64_t row_stride;
};

/// One of the two rows of all tokens; overwrites factors.
template <class T>
void factor_rows_forward(const FactorShape& shape, float* factors, const T* u, const float* bias, const float* w,
                         const float* c);
/// Overwrites du (at row_stride), dbias, dw and dc; sums over the rows in order.
template <class T>
void factor_rows_backward(const FactorShape& shape, T* du, float* dbias, float* dw, float* dc, const float* dfactors,
                          const T* u, const float* bias, const float* w);

/// qkv: rows at row_stride with the queries [H,E], the keys [H,E] and the values [H,Ev]. alpha [R,H,A], beta [R,H,C].
/// A call of attention: queries [R,H,E+A], M = keys_of(s) keys and values for each sequence, [H,E+A] and [H,Ev] a row.
struct FactoredShape {
  std::int64_t sequences, length, heads, key_width, value_width; ///< E may be 0
  std::int64_t inner, outer;                                     ///< A; C, of the longest sequence
  std::int64_t row_stride;
  float factor; ///< g

  WEFT_FUNCTION constexpr std::int64_t blocks() const { return (length + inner - 1) / inner; }
  WEFT_FUNCTION constexpr std::int64_t keys_of(std::int64_t block) const {
    return length - block * inner < inner ? length - block * inner : inner;
  }
  /// Where in qkv the key is that row `task` of a block's keys is made of.
  WEFT_FUNCTION constexpr std::int64_t key_at(std::int64_t block, std::int64_t task) const {
    const std::int64_t M = keys_of(block), i = block * inner + task % M;
    return (task / M * length + i) * row_stride + heads * key_width;
  }
  WEFT_FUNCTION constexpr std::int64_t query_row() const { return heads * (key_width + inner); }
  WEFT_FUNCTION constexpr std::int64_t key_row() const { return heads * (key_width + inner + value_width); }
};

/// Overwrites queries.
template <class T>
void block_queries_forward(const FactoredShape& shape, std::int64_t block, T* queries, const T* qkv, const float* alpha,
                           const float* beta);
/// Block 0 overwrites dq [R,H,E] and dalpha, the others add to them; overwrites column `block` of dbeta.
template <class T>
void block_queries_backward(const FactoredShape& shape, std::int64_t block, float* dq, float* dalpha, float* dbeta,
                            const T* dqueries, const float* alpha, const float* beta);

/// Overwrites keys.
template <class T>
void block_keys_forward(const FactoredShape& shape, std::int64_t block, T* keys, const T* qkv);
/// Overwrites the keys and values of the block's rows of dqkv.
template <class T>
void block_keys_backward(const FactoredShape& shape, std::int64_t block, T* dqkv, const T* dkeys);
/// What was summed over the blocks, dense, as rows at row_stride of the storage type.
template <class T>
void store_rows(std::int64_t rows, std::int64_t columns, T* to, std::int64_t row_stride, const float* from);

/// The key bits of a block's keys, [S, ceil(M / 32)], from those of all, [S, ceil(N / 32)].
void block_bits(const FactoredShape& shape, std::int64_t block, std::uint32_t* bits, const std::uint32_t* seen);

/// Joins a block's out [R,H,Ev] and lse [S,H,N] to those of the blocks before it; block 0 overwrites.
template <class T>
void join_block(const FactoredShape& shape, std::int64_t block, float* out, float* lse, const T* block_out,
                const float* block_lse);

namespace reference {
/// u dense: [R,H,d].
void factor_rows_forward(const FactorShape& shape, double* factors, const double* u, const double* bias,
                         const double* w, const double* c);
void factor_rows_backward(const FactorShape& shape, double* du, double* dbias, double* dw, double* dc,
                          const double* dfactors, const double* u, const double* bias, const double* w);
/// a[S,H,N,N], and the gradients from da.
void factored_scores_forward(const FactoredShape& shape, double* a, const double* alpha, const double* beta);
void factored_scores_backward(const FactoredShape& shape, double* dalpha, double* dbeta, const double* da,
                              const double* alpha, const double* beta);
} // namespace reference

} // namespace weft
