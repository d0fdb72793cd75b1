// Attention whose weights are functions of single scores, with nothing that makes a row's weights sum to one (Ma et al.
// 2023, arXiv:2209.10655, sections 3.3 and appendix B). One head; query i sees S_i, the real keys of its chunk of C
// positions, in a causal call the earlier ones and itself:
//   s_ij = q_i . k_j / n_i + a_{j-i},   w_ij = f(s_ij),   out_i = sum over j in S_i of w_ij v_j
// n_i is the number of keys in S_i, 1 at least, and a_d = bias[M - 1 + d] for |d| < M, else 0.
//   squared ReLU: f(s) = max(0, s)^2;   laplace: f(s) = (1 + erf((s - mu) / (sigma sqrt(2)))) / 2 with mu = 0.707107
//   and sigma = 0.282095, which has the same value and slope where s^2 = 1/2
// Dropout multiplies a weight by 0 or 1 / (1 - p), as AttentionExtras::dropout counts them.
//
// Backward, with dw_ij = dout_i . v_j times that factor and ds_ij = f'(s_ij) dw_ij:
//   dv_j = sum_i w_ij dout_i,   dq_i = sum_j ds_ij k_j / n_i,   dk_j = sum_i ds_ij q_i / n_i,   da_d = sum of
//   ds_{i,i+d}
// Weights are made again, tile by tile: no array has C^2 numbers. Sums are fp32, over keys, or over queries, in
// ascending order, those of the bias tile after tile; neither threads nor other sequences change a bit.
//
// A key whose bit is 0 is not read, and its gradients are 0; its position still is a query like any other. A pair
// outside S_i has no influence, not even as NaN.
#pragma once
#include "kernels/common/types.hpp"
#include "kernels/random/dropout.hpp"

namespace weft {

enum class PointFunction { laplace, squared_relu };

/// q, k of width Z and v of width V are columns of rows that are `stride` apart, their gradients alike; out and dout
/// are dense.
struct PointwiseAttention {
  std::int64_t sequences, length, key_width, value_width, stride; ///< S, N, Z, V
  std::int64_t chunk = 0;                                         ///< C; 0: N
  bool causal = false;
  PointFunction function = PointFunction::laplace;
  std::int64_t reach = 0;              ///< M; 0: no bias; bias [2 M - 1]
  const std::uint32_t* seen = nullptr; ///< key bits as kernels/pool has them; null: every key is real
  Dropout dropout{};
  std::int64_t dropout_stride = 0; ///< 0: N
};

/// Floats of workspace of either pass: linear in N, with a bias N (C + 64) / 64.
std::int64_t pointwise_attention_workspace(const PointwiseAttention& call);

/// Operations of a pass.
double pointwise_attention_work(const PointwiseAttention& call, bool backward);

/// Overwrites out [S,N,V]. bias may be null where reach is 0.
template <class T>
void pointwise_attention_forward(const PointwiseAttention& call, T* out, const T* q, const T* k, const T* v,
                                 const float* bias, float* workspace);

/// Overwrites dq, dk, dv and dbias; what lies between their rows stays.
template <class T>
void pointwise_attention_backward(const PointwiseAttention& call, T* dq, T* dk, T* dv, float* dbias, const T* dout,
                                  const T* q, const T* k, const T* v, const float* bias, float* workspace);

namespace reference {
/// q, k [S,N,Z], v [S,N,V], all dense: `stride` is not read, nor `moment` of the dropout.
void pointwise_attention_forward(const PointwiseAttention& call, double* out, const double* q, const double* k,
                                 const double* v, const double* bias);
void pointwise_attention_backward(const PointwiseAttention& call, double* dq, double* dk, double* dv, double* dbias,
                                  const double* dout, const double* q, const double* k, const double* v,
                                  const double* bias);
} // namespace reference

} // namespace weft
