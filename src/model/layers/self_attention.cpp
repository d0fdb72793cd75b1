#include "model/layers/self_attention.hpp"
#include "kernels/attention/padded_rows.hpp"
#include "model/layers/attention_rows.hpp"
#include "model/storage.hpp"
#include <algorithm>

namespace weft {

template <class T>
SelfAttention<T>::SelfAttention(Plan& plan, const std::string& name, std::int64_t layer, const AttentionSetup& setup,
                                const AttentionPlans& plans, typename Base::OwnWeights own)
    : Base(plan, name, setup, own, Base::has_rows), layer_(layer), longest_(plan.N), dropout_(setup.dropout),
      plans_(plans), padded_rows_(setup.padded_rows), padded_zero_(setup.padded_zero) {
  // A row without keys has lse = -infinity by definition.
  lse_ = plan.keep_unless<float>(this->again_, name, "lse", plan.R * H, Finite::no);
  const AttentionPlan& whole = plans_.of(layer_, plan.N);
  const AttentionShape sizes = this->shape(plan.S, plan.N);
  workspace_ = plan.attention_workspace(whole, sizes);
  if (padded_rows_)
    padded_ = plan.scratch<float>("padded rows", padded_rows_workspace(sizes));
  if (dropout_ >= 0)
    site_ = plan.dropout_site();
  plan.attention(whole, E, Ev, this->again_);
}

/// Elements are counted as in a sequence of the full length.
template <class T>
AttentionExtras SelfAttention<T>::extras(const Pass<T>& p, std::uint32_t site) const {
  AttentionExtras e;
  e.seen = p.seen();
  e.dropout = p.dropout(std::max(dropout_, 0.0f), site);
  e.dropout_stride = longest_;
  return e;
}

template <class T>
void SelfAttention<T>::attend(const Pass<T>& p, T* attended, const T* qkv) {
  const AttentionShape sizes = this->shape(p.sequences(), p.length());
  attention_forward(plans_.of(layer_, p.length()), sizes, attended, p(lse_), qkv, qkv + H * E, qkv + 2 * H * E,
                    p(workspace_), AttentionPath::best, extras(p, site_));
  if (padded_zero_ && p.seen())
    padded_rows_clear(sizes, attended, p.seen());
  if (padded_rows_ && p.seen())
    padded_rows_forward(sizes, attended, qkv + 2 * H * E, p.seen(), p(padded_));
}

template <class T>
void SelfAttention<T>::attend_backward(const Pass<T>& p, T* dqkv, T* dattended, const T* qkv, const T* attended) {
  const bool padded = padded_rows_ && p.seen();
  const AttentionShape sizes = this->shape(p.sequences(), p.length());
  if (padded)
    padded_rows_take(sizes, dattended, p.seen(), p(padded_));
  if (padded_zero_ && p.seen())
    padded_rows_clear(sizes, dattended, p.seen());
  attention_backward(plans_.of(layer_, p.length()), sizes, dqkv, dqkv + H * E, dqkv + 2 * H * E, dattended, qkv,
                     qkv + H * E, qkv + 2 * H * E, attended, p(lse_), p(workspace_), AttentionPath::best,
                     extras(p, site_));
  if (padded)
    padded_rows_give(sizes, dqkv + 2 * H * E, p(padded_));
}

template <class T>
std::unique_ptr<RowLayer<T>> SelfAttention<T>::rows(const RowSetup& setup) const {
  const DecodeShape shape{setup.samples, H, E, Ev, setup.length, H * (2 * E + Ev)};
  return std::make_unique<AttentionRows<T>>(
      setup, shape, layer_, setup.matrix<T>(this->qkv_weight_),
      this->qkv_bias_ ? setup.columns(this->qkv_bias_, {{0, shape.row_stride}}) : Buffer<float>(),
      setup.matrix<T>(this->out_weight_), this->out_bias_ ? setup.at(this->out_bias_) : nullptr);
}

WEFT_FOR_STORAGE_TYPES(SelfAttention);

} // namespace weft
