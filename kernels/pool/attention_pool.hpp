// Pooling by attention: every row gets a score, the softmax of the scores over the seen rows weighs them.
//   e_i = v . tanh(u_i),  u = x W + b of width A (a product of gemm.hpp)
//   alpha_i = exp(e_i) / sum over the seen rows j of exp(e_j),   out[s,:] = sum_i alpha_i x[s,i,:]
// The form that classifiers on a bidirectional LSTM use (after Bahdanau, Cho, Bengio 2015, arXiv:1409.0473). The
// backward pass, in this order: attention_pool_backward_scores, tanh_scores_backward, the products of u, whose gradient
// of x is `through` of attention_pool_backward_rows.
#pragma once
#include "kernels/pool/pool.hpp"
#include "kernels/sum/sum.hpp"

namespace weft {

/// scores[i] = v . tanh(u[i,:]), i in [0, rows), u (rows, width); overwrites scores.
template <class T>
void tanh_scores_forward(float* scores, const T* u, const float* v, std::int64_t rows, std::int64_t width);

/// du[i,:] = dscores[i] v (1 - tanh^2(u[i,:])), dv = sum over the rows of dscores[i] tanh(u[i,:]), in column_sum's
/// order. A row whose dscores is 0 gives zeros and is not read. Overwrites du, which may be u, and dv[width].
/// partial: workspace of column_sum_workspace(rows, width) floats.
template <class T>
void tanh_scores_backward(T* du, float* dv, const float* dscores, const T* u, const float* v, std::int64_t rows,
                          std::int64_t width, float* partial);

/// Overwrites out[S,D] and weights[S,N], the alphas; both are zeros where nothing is seen. Scores and rows that are not
/// seen are not read. seen: as in pool.hpp. partial: workspace of attention_pool_workspace(shape) floats.
template <class T>
void attention_pool_forward(T* out, float* weights, const T* x, const float* scores, const std::uint32_t* seen,
                            const PoolShape& shape, float* partial);

/// dscores[s,i] = alpha_i (dout . x_i - sum_j alpha_j dout . x_j); overwrites dscores[S,N]. Rows of weight 0 give 0 and
/// are not read.
template <class T>
void attention_pool_backward_scores(float* dscores, const T* dout, const T* x, const float* weights,
                                    const PoolShape& shape);

/// dx[s,i,:] = alpha_i dout[s,:] + through[s,i,:]; overwrites dx[S,N,D]. through may be dx itself, or null where the
/// scores do not depend on x.
template <class T>
void attention_pool_backward_rows(T* dx, const T* through, const T* dout, const float* weights, const PoolShape& shape);

constexpr std::int64_t attention_pool_workspace(const PoolShape& s) {
  return s.sequences * ((s.length + pool_block - 1) / pool_block) * (s.width > 2 ? s.width : 2);
}

namespace reference {
void tanh_scores_forward(double* scores, const double* u, const double* v, std::int64_t rows, std::int64_t width);
void tanh_scores_backward(double* du, double* dv, const double* dscores, const double* u, const double* v,
                          std::int64_t rows, std::int64_t width);
void attention_pool_forward(double* out, double* weights, const double* x, const double* scores,
                            const std::uint32_t* seen, const PoolShape& shape);
void attention_pool_backward_scores(double* dscores, const double* dout, const double* x, const double* weights,
                                    const PoolShape& shape);
void attention_pool_backward_rows(double* dx, const double* through, const double* dout, const double* weights,
                                  const PoolShape& shape);
} // namespace reference

} // namespace weft
