#include "model/heads/pooling.hpp"
#include "model/storage.hpp"
#include <algorithm>
#include <cmath>

namespace weft {

PoolingKind pooling_kind(const std::string& word) {
  if (word == "mean")
    return PoolingKind::mean;
  if (word == "mean_all")
    return PoolingKind::mean_all;
  if (word == "last")
    return PoolingKind::last;
  return word == "attention" ? PoolingKind::attention : PoolingKind::first;
}

template <class T>
Pooling<T>::Pooling(Plan& plan, const PoolingSetup& setup)
    : kind_(setup.kind), D(setup.width), A(setup.hidden > 0 ? setup.hidden : D), divisor_(setup.divisor) {
  const PoolShape most{plan.S, plan.N, D};
  partial_ = plan.scratch<float>("partial", std::max(pool_workspace(most), attention_pool_workspace(most)));
  if (kind_ != PoolingKind::attention)
    return;
  const double of_row = 1 / std::sqrt(static_cast<double>(D)), of_hidden = 1 / std::sqrt(static_cast<double>(A));
  const Initial uniform{Initialiser::uniform, of_row};
  weight_ =
      plan.weight("head.pool.weight", {D, A}, setup.uniform ? uniform : Initial{Initialiser::truncated_normal, of_row});
  bias_ = plan.weight("head.pool.bias", {A}, setup.uniform ? uniform : Initial{});
  vector_ = plan.weight("head.pool.vector", {A}, setup.uniform ? Initialiser::uniform : Initialiser::normal, of_hidden);
  u_ = plan.keep<T>("head.pool.u", plan.R * A, Finite::no); // its gradient lies there afterwards
  scores_ = plan.keep<float>("head.pool.scores", plan.R, Finite::no);
  weights_ = plan.keep<float>("head.pool.weights", plan.R, Finite::no);
  dscores_ = plan.scratch<float>("head.pool.dscores", plan.R);
  plan.scratch<float>("partial", column_sum_workspace(plan.R, A));
  plan.product({plan.R, D, A});
}

template <class T>
void Pooling<T>::forward(const Pass<T>& p, T* out, const T* x) const {
  switch (kind_) {
  case PoolingKind::first:
    return pool_first_forward(out, x, shape(p));
  case PoolingKind::last:
    return pool_last_forward(out, x, p.seen(), shape(p));
  case PoolingKind::mean:
    return pool_mean_forward(out, x, p.seen(), divisor_, shape(p), p(partial_));
  case PoolingKind::mean_all:
    return pool_mean_forward(out, x, nullptr, 0.0f, shape(p), p(partial_));
  case PoolingKind::attention:
    linear_forward(p.linear(D, A), p(u_), x, p.low(weight_), p.w(bias_));
    tanh_scores_forward(p(scores_), p(u_), p.w(vector_), p.rows(), A);
    return attention_pool_forward(out, p(weights_), x, p(scores_), p.seen(), shape(p), p(partial_));
  }
}

template <class T>
void Pooling<T>::backward(const Pass<T>& p, T* dx, const T* dout, const T* x) const {
  switch (kind_) {
  case PoolingKind::first:
    return pool_first_backward(dx, dout, shape(p));
  case PoolingKind::last:
    return pool_last_backward(dx, dout, p.seen(), shape(p));
  case PoolingKind::mean:
    return pool_mean_backward(dx, dout, p.seen(), divisor_, shape(p));
  case PoolingKind::mean_all:
    return pool_mean_backward(dx, dout, nullptr, 0.0f, shape(p));
  case PoolingKind::attention:
    attention_pool_backward_scores(p(dscores_), dout, x, p(weights_), shape(p));
    tanh_scores_backward(p(u_), p.dw(vector_), p(dscores_), p(u_), p.w(vector_), p.rows(), A, p(partial_));
    column_sum(p.dw(bias_), p(u_), p.rows(), A, p(partial_));
    linear_backward_weight(p.linear(D, A), p.dw(weight_), x, p(u_));
    linear_backward_input(p.linear(D, A), dx, p(u_), p.low(weight_));
    return attention_pool_backward_rows(dx, dx, dout, p(weights_), shape(p));
  }
}

WEFT_FOR_STORAGE_TYPES(Pooling);

} // namespace weft
