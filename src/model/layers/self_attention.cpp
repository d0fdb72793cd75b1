#include "model/layers/self_attention.hpp"
#include "kernels/attention/attention_decode.hpp"
#include "kernels/attention/padded_rows.hpp"
#include "model/layers/rows.hpp"
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

namespace {

/// One new position of every sample over a cache of the keys and values before it.
template <class T>
class AttentionRows final : public RowLayer<T> {
 public:
  AttentionRows(const RowSetup& setup, const DecodeShape& shape, std::int64_t layer, StripMatrix<T> qkv,
                const float* qkv_bias, StripMatrix<T> out, const float* out_bias)
      : shape_(shape), layer_(layer), qkv_weight_(std::move(qkv)), out_weight_(std::move(out)), qkv_bias_(qkv_bias),
        out_bias_(out_bias), keys_(shape.samples * shape.heads * shape.capacity * shape.key_row(), "cache of keys"),
        values_(shape.samples * shape.heads * shape.capacity * shape.value_row(), "cache of values"),
        qkv_(shape.samples * shape.row_stride, "qkv"),
        attended_(shape.samples * shape.heads * shape.value_width, "attended"),
        workspace_(attention_decode_workspace(shape, setup.length), "workspace of attention") {
    // The padding is read; the rest is written before it is.
    device_zero(keys_.data(), keys_.bytes());
    device_zero(values_.data(), values_.bytes());
  }
  void forward(const Slot& slot, T* y, const T* x) override {
    few_rows_forward(qkv_weight_, shape_.samples, qkv_.data(), x, qkv_bias_);
    attention_decode(shape_, attended_.data(), qkv_.data(), keys_.data(), values_.data(), slot.lists->of_layer(layer_),
                     workspace_.data());
    few_rows_forward(out_weight_, shape_.samples, y, attended_.data(), out_bias_);
  }
  std::size_t cache_bytes() const override { return keys_.bytes() + values_.bytes(); }

 private:
  DecodeShape shape_;
  std::int64_t layer_;
  StripMatrix<T> qkv_weight_, out_weight_;
  const float *qkv_bias_, *out_bias_;
  Buffer<T> keys_, values_; ///< (samples, H, length, padded width)
  Buffer<T> qkv_, attended_;
  Buffer<float> workspace_;
};

} // namespace

template <class T>
std::unique_ptr<RowLayer<T>> SelfAttention<T>::rows(const RowSetup& setup) const {
  const DecodeShape shape{setup.samples, H, E, Ev, setup.length, H * (2 * E + Ev)};
  return std::make_unique<AttentionRows<T>>(
      setup, shape, layer_, setup.matrix<T>(this->qkv_weight_), this->qkv_bias_ ? setup.at(this->qkv_bias_) : nullptr,
      setup.matrix<T>(this->out_weight_), this->out_bias_ ? setup.at(this->out_bias_) : nullptr);
}

WEFT_FOR_STORAGE_TYPES(SelfAttention);

} // namespace weft
