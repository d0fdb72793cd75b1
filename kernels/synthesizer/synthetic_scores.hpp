// Synthetic scores that are products of narrow factors, as queries and keys are (Tay et al. 2021, "Synthesizer:
// rethinking self-attention for Transformer models", arXiv:2005.00743, section 3.1):
//   factorised random: a_ij = left_i . right_j, two trained matrices [N, F] per head
//   dense:             a_ij = w_j . relu(u_i + bias) + c_j, u = x W1 the tokens' hidden numbers, w: [d, N], c: [N]
// So they need no N x N memory: the factors become columns behind those of the queries and keys,
//   q'_i = (q_i, g left_i), k'_j = (k_j, right_j), and q' . k' / g = q . k / g + a,
// and attention runs on the joined rows with the scale 1 / g. For dense, F = d + 1: the last column of q' is g, of k'
// c_j.
#pragma once
#include "kernels/common/types.hpp"

namespace weft {

/// qkv: rows at row_stride with the queries [H,E], the keys [H,E] and the values [H,Ev]. joined: dense rows of
/// joined_width with [H,E+F], [H,E+F], [H,Ev]. Parameters are fp32 and as long as `longest` >= N positions.
struct JoinShape {
  std::int64_t sequences, length, heads;
  std::int64_t key_width, value_width; ///< E, which may be 0, and Ev
  std::int64_t features;               ///< F
  std::int64_t row_stride;
  std::int64_t longest;
  float factor; ///< g
};
WEFT_FUNCTION constexpr std::int64_t joined_width(const JoinShape& s) {
  return s.heads * (2 * (s.key_width + s.features) + s.value_width);
}

/// Writes q, k and v into joined; features stay as they are.
template <class T>
void join_rows_forward(const JoinShape& shape, T* joined, const T* qkv);
/// Overwrites dq, dk and dv.
template <class T>
void join_rows_backward(const JoinShape& shape, T* dqkv, const T* djoined);

/// Writes the features of q' and k'. left, right: [H, longest, F].
template <class T>
void factors_forward(const JoinShape& shape, T* joined, const float* left, const float* right);
/// Overwrites the first N rows of each head of dleft and dright: sums over the sequences in order.
template <class T>
void factors_backward(const JoinShape& shape, float* dleft, float* dright, const T* djoined);

/// Which hidden numbers and which w a head takes.
struct HiddenForm {
  bool shared;   ///< one w and c for all heads
  bool reshaped; ///< head h takes row h N + i of the (N, H) rows of u, counted token by token, as row i: a transpose
                 ///< that the Long Range Arena's code leaves out
};

/// The same for dense. u: at row_stride, [H,d] per row; bias [H,d]; w [H or 1, d, longest]; c [H or 1, longest].
template <class T>
void hidden_forward(const JoinShape& shape, HiddenForm form, T* joined, const T* u, const float* bias, const float* w,
                    const float* c);
/// Overwrites du (at row_stride), dbias, and the first N columns of dw and dc: sums over the sequences in order, over
/// the heads where they share. partial: workspace of column_sum_workspace(S N, H d) floats (kernels/sum/sum.hpp).
template <class T>
void hidden_backward(const JoinShape& shape, HiddenForm form, T* du, float* dbias, float* dw, float* dc,
                     const T* djoined, const T* u, const float* bias, float* partial);

namespace reference {
/// a[H,N,N] and gradients from da; longest = N.
void factor_scores_forward(const JoinShape& shape, double* a, const double* left, const double* right);
void factor_scores_backward(const JoinShape& shape, double* dleft, double* dright, const double* da, const double* left,
                            const double* right);
/// a[B,H,N,N]; u dense: [B,N,H,d].
void hidden_scores_forward(const JoinShape& shape, HiddenForm form, double* a, const double* u, const double* bias,
                           const double* w, const double* c);
void hidden_scores_backward(const JoinShape& shape, HiddenForm form, double* du, double* dbias, double* dw, double* dc,
                            const double* da, const double* u, const double* bias, const double* w);
} // namespace reference

} // namespace weft
