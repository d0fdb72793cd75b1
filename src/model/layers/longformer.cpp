#include "model/layers/longformer.hpp"
#include "kernels/attention/global_rows.hpp"
#include "kernels/sum/sum.hpp"
#include "model/storage.hpp"

namespace weft {

template <class T>
Longformer<T>::Longformer(Plan& plan, const std::string& name, std::int64_t layer, const AttentionSetup& setup,
                          const AttentionPlans& plans, std::int64_t global)
    : Base(plan, name, layer, setup, plans, Base::OwnWeights::some), global_(global) {
  weight_ = plan.weight(name + "attention.global.weight", {D, wide()}, setup.qkv);
  if (setup.biases)
    bias_ = plan.weight(name + "attention.global.bias", {wide()}, setup.qkv_bias);
  if (global_ == 0)
    return;
  const std::int64_t R = plan.R;
  const AttentionPlan& rows = plans.global_rows(layer, plan.N);
  const AttentionShape sizes = this->shape(plan.S, plan.N);
  qkv_ = plan.keep_unless<T>(this->again_, name, "global qkv", R * wide());
  lse_ = plan.keep_unless<float>(this->again_, name, "global lse", R * H, Finite::no);
  attended_ = plan.scratch<T>("global attended", R * H * Ev);
  dqkv_ = plan.scratch<T>("global dqkv", R * wide());
  dx_ = plan.scratch<T>("global dx", R * D);
  partial_ = plan.scratch<float>("partial", column_sum_workspace(R, wide()));
  workspace_ = plan.attention_workspace(rows, sizes);
  if (this->dropout_ >= 0)
    site_ = plan.dropout_site();
  plan.product({R, D, wide()}, this->again_);
  plan.attention(rows, E, Ev, this->again_);
}

template <class T>
void Longformer<T>::project(const Pass<T>& p, const T* x) {
  if (global_ > 0)
    linear_forward(p.linear(D, wide()), p(qkv_), x, p.low(weight_), bias_ ? p.w(bias_) : nullptr);
}

template <class T>
void Longformer<T>::attend(const Pass<T>& p, T* attended, const T* qkv) {
  Base::attend(p, attended, qkv);
  if (global_ == 0)
    return;
  const AttentionShape sizes = this->shape(p.sequences(), p.length());
  const T* q = p(qkv_);
  attention_forward(this->plans_.global_rows(this->layer_, p.length()), sizes, p(attended_), p(lse_), q, q + H * E,
                    q + 2 * H * E, p(workspace_), AttentionPath::best, this->extras(p, site_));
  global_rows_put(sizes, attended, p(attended_), global_);
}

/// Of either call, rows without a key get no gradient: both read the same rows of attended and dattended.
template <class T>
void Longformer<T>::attend_backward(const Pass<T>& p, T* dqkv, T* dattended, const T* qkv, const T* attended) {
  Base::attend_backward(p, dqkv, dattended, qkv, attended);
  if (global_ == 0)
    return;
  const AttentionShape sizes = this->shape(p.sequences(), p.length());
  const T* q = p(qkv_);
  T* dq = p(dqkv_);
  attention_backward(this->plans_.global_rows(this->layer_, p.length()), sizes, dq, dq + H * E, dq + 2 * H * E,
                     dattended, q, q + H * E, q + 2 * H * E, attended, p(lse_), p(workspace_), AttentionPath::best,
                     this->extras(p, site_));
}

template <class T>
void Longformer<T>::project_backward(const Pass<T>& p, const T* x) {
  const LinearShape in = p.linear(D, wide());
  if (global_ == 0) {
    device_zero(p.dw(weight_), static_cast<std::size_t>(D * wide()) * sizeof(float));
    if (bias_)
      device_zero(p.dw(bias_), static_cast<std::size_t>(wide()) * sizeof(float));
    return;
  }
  linear_backward_weight(in, p.dw(weight_), x, p(dqkv_));
  if (bias_)
    column_sum(p.dw(bias_), p(dqkv_), in.rows, in.outputs, p(partial_));
}

template <class T>
void Longformer<T>::add_input_gradient(const Pass<T>& p, T* dx) {
  if (global_ == 0)
    return;
  linear_backward_input(p.linear(D, wide()), p(dx_), p(dqkv_), p.low(weight_));
  add_more(dx, p(dx_), p.rows() * D);
}

WEFT_FOR_STORAGE_TYPES(Longformer);

} // namespace weft
