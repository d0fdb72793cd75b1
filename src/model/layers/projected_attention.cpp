#include "model/layers/projected_attention.hpp"
#include "io/error.hpp"
#include "kernels/sum/sum.hpp"
#include "model/layers/rows.hpp"
#include "model/storage.hpp"

namespace weft {

template <class T>
ProjectedAttention<T>::ProjectedAttention(Plan& plan, const std::string& name, const AttentionSetup& setup,
                                          OwnWeights own, const char* unsampled, std::int64_t own_columns)
    : D(setup.width), H(setup.heads), E(setup.key_width), Ev(setup.value_width),
      again_(plan.recompute != Recompute::none), unsampled_(unsampled), own_columns_(own_columns), own_(own) {
  const std::int64_t R = plan.R;
  qkv_weight_ = plan.weight(name + "attention.qkv.weight", {D, wide()}, setup.qkv);
  if (setup.biases)
    qkv_bias_ = plan.weight(name + "attention.qkv.bias", {wide()}, setup.qkv_bias);
  out_weight_ = plan.weight(name + "attention.out.weight", {H * Ev, D}, setup.out);
  if (setup.biases)
    out_bias_ = plan.weight(name + "attention.out.bias", {D}, setup.out_bias);
  qkv_ = plan.keep_unless<T>(again_, name, "qkv", R * wide());
  attended_ = plan.keep_unless<T>(again_, name, "attended", R * H * Ev);
  dqkv_ = plan.scratch<T>("wide", R * wide());
  dattended_ = plan.scratch<T>("dattended", R * H * Ev);
  partial_ = plan.scratch<float>("partial", column_sum_workspace(R, wide()));
  plan.product({R, D, wide()}, again_);
  plan.product({R, H * Ev, D}, plan.recompute == Recompute::block);
}

template <class T>
AttentionShape ProjectedAttention<T>::shape(std::int64_t sequences, std::int64_t length) const {
  return {sequences, length, H, E, Ev, wide(), H * Ev};
}

template <class T>
std::unique_ptr<RowLayer<T>> ProjectedAttention<T>::rows(const RowSetup& /*setup*/) const {
  throw InputError(unsampled_);
}

template <class T>
void ProjectedAttention<T>::again(const Pass<T>& p, const T* x) {
  if (!again_)
    return;
  linear_forward(p.linear(D, wide()), p(qkv_), x, p.low(qkv_weight_), qkv_bias_ ? p.w(qkv_bias_) : nullptr);
  project(p, x);
  attend(p, p(attended_), p(qkv_));
}

template <class T>
void ProjectedAttention<T>::forward(const Pass<T>& p, T* y, const T* x) {
  linear_forward(p.linear(D, wide()), p(qkv_), x, p.low(qkv_weight_), qkv_bias_ ? p.w(qkv_bias_) : nullptr);
  project(p, x);
  attend(p, p(attended_), p(qkv_));
  linear_forward(p.linear(H * Ev, D), y, p(attended_), p.low(out_weight_), out_bias_ ? p.w(out_bias_) : nullptr);
}

template <class T>
void ProjectedAttention<T>::backward(const Pass<T>& p, T* dx, const T* dy, const T* x) {
  // y = attended W_out + b
  linear_backward_weight(p.linear(H * Ev, D), p.dw(out_weight_), p(attended_), dy);
  linear_backward_input(p.linear(H * Ev, D), p(dattended_), dy, p.low(out_weight_));
  if (own_ == OwnWeights::none)
    p.done(out_weight_);
  attend_backward(p, p(dqkv_), p(dattended_), p(qkv_), p(attended_));
  project_backward(p, x);
  if (own_ == OwnWeights::some)
    p.done(out_weight_);
  // qkv = x W_qkv + b
  const LinearShape in = p.linear(D, wide());
  linear_backward_weight(in, p.dw(qkv_weight_), x, p(dqkv_));
  if (qkv_bias_)
    column_sum(p.dw(qkv_bias_), p(dqkv_), in.rows, in.outputs, p(partial_));
  linear_backward_input(in, dx, p(dqkv_), p.low(qkv_weight_));
  add_input_gradient(p, dx);
}

WEFT_FOR_STORAGE_TYPES(ProjectedAttention);

} // namespace weft
