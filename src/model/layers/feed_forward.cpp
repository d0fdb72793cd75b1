#include "model/layers/feed_forward.hpp"
#include "kernels/sum/sum.hpp"
#include "model/layers/feed_forward_rows.hpp"
#include "model/storage.hpp"

namespace weft {

template <class T>
FeedForward<T>::FeedForward(Plan& plan, const std::string& name, const FeedForwardSetup& setup)
    : D(setup.width), F(setup.hidden), activation_(setup.activation), dropout_(setup.dropout),
      again_(plan.recompute == Recompute::block) {
  in_weight_ = plan.weight(name + "feedforward.in.weight", {D, F}, setup.in);
  in_bias_ = plan.weight(name + "feedforward.in.bias", {F}, setup.in_bias);
  out_weight_ = plan.weight(name + "feedforward.out.weight", {F, D}, setup.out);
  out_bias_ = plan.weight(name + "feedforward.out.bias", {D}, setup.out_bias);
  hidden_ = plan.keep_unless<T>(again_, name, "hidden", plan.R * F);
  gate_ = plan.scratch<T>("gate", plan.R * F);
  dhidden_ = plan.scratch<T>("wide", plan.R * F);
  partial_ = plan.scratch<float>("partial", column_sum_workspace(plan.R, F));
  if (dropout_ >= 0)
    site_ = plan.dropout_site();
  plan.product({plan.R, D, F}, again_);
  plan.product({plan.R, F, D});
}

template <class T>
void FeedForward<T>::again(const Pass<T>& p, const T* x) {
  if (again_)
    linear_forward(p.linear(D, F), p(hidden_), x, p.low(in_weight_), p.w(in_bias_));
}

template <class T>
void FeedForward<T>::forward(const Pass<T>& p, T* y, const T* x) {
  linear_forward(p.linear(D, F), p(hidden_), x, p.low(in_weight_), p.w(in_bias_));
  activation_forward(p(gate_), p(hidden_), p.rows() * F, activation_);
  p.drop(p(gate_), F, dropout_, site_);
  linear_forward(p.linear(F, D), y, p(gate_), p.low(out_weight_), p.w(out_bias_));
}

template <class T>
void FeedForward<T>::backward(const Pass<T>& p, T* dx, const T* dy, const T* x) {
  T *dhidden = p(dhidden_), *gate = p(gate_);
  // y = f(hidden) W_out + b
  linear_backward_input(p.linear(F, D), dhidden, dy, p.low(out_weight_));
  p.drop(dhidden, F, dropout_, site_);
  activation_backward(gate, dhidden, p.dw(in_bias_), dhidden, p(hidden_), p.rows(), F, p(partial_), activation_);
  p.drop(gate, F, dropout_, site_);
  linear_backward_weight(p.linear(F, D), p.dw(out_weight_), gate, dy);
  p.done(out_weight_);
  // hidden = x W_in + b
  linear_backward_weight(p.linear(D, F), p.dw(in_weight_), x, dhidden);
  linear_backward_input(p.linear(D, F), dx, dhidden, p.low(in_weight_));
}

template <class T>
std::unique_ptr<RowLayer<T>> FeedForward<T>::rows(const RowSetup& setup) const {
  return std::make_unique<FeedForwardRows<T>>(setup, in_weight_, in_bias_, out_weight_, out_bias_, activation_);
}

WEFT_FOR_STORAGE_TYPES(FeedForward);

} // namespace weft
