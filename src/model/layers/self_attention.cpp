#include "model/layers/self_attention.hpp"
#include "kernels/attention/attention_decode.hpp"
#include "kernels/attention/padded_rows.hpp"
#include "kernels/sum/sum.hpp"
#include "model/layers/rows.hpp"
#include "model/storage.hpp"
#include <algorithm>

namespace weft {

template <class T>
SelfAttention<T>::SelfAttention(Plan& plan, const std::string& name, std::int64_t layer, const AttentionSetup& setup,
                                const AttentionPlans& plans)
    : D(setup.width), H(setup.heads), E(setup.key_width), Ev(setup.value_width), layer_(layer), longest_(plan.N),
      dropout_(setup.dropout), padded_rows_(setup.padded_rows), plans_(plans),
      again_(plan.recompute != Recompute::none) {
  const std::int64_t R = plan.R, wide = H * (2 * E + Ev);
  qkv_weight_ = plan.weight(name + "attention.qkv.weight", {D, wide}, setup.qkv);
  if (setup.biases)
    qkv_bias_ = plan.weight(name + "attention.qkv.bias", {wide}, Initialiser::zero);
  out_weight_ = plan.weight(name + "attention.out.weight", {H * Ev, D}, setup.out);
  if (setup.biases)
    out_bias_ = plan.weight(name + "attention.out.bias", {D}, Initialiser::zero);
  qkv_ = plan.keep_unless<T>(again_, name, "qkv", R * wide);
  attended_ = plan.keep_unless<T>(again_, name, "attended", R * H * Ev);
  // A row without keys has lse = -infinity by definition.
  lse_ = plan.keep_unless<float>(again_, name, "lse", R * H, Finite::no);
  dqkv_ = plan.scratch<T>("wide", R * wide);
  dattended_ = plan.scratch<T>("dattended", R * H * Ev);
  partial_ = plan.scratch<float>("partial", column_sum_workspace(R, wide));
  const AttentionPlan& whole = plans_.of(layer_, plan.N);
  std::size_t bytes = 0;
  for (const bool backward : {false, true})
    bytes = std::max(bytes, attention_workspace_bytes(whole, shape(plan.S, plan.N), backward));
  workspace_ = plan.scratch<float>("attention", static_cast<std::int64_t>((bytes + 3) / 4));
  if (padded_rows_)
    padded_ = plan.scratch<float>("padded rows", padded_rows_workspace(shape(plan.S, plan.N)));
  if (dropout_ >= 0)
    site_ = plan.dropout_site();
  plan.product({R, D, wide}, again_);
  plan.attention(whole, E, Ev, again_);
  plan.product({R, H * Ev, D}, plan.recompute == Recompute::block);
}

template <class T>
AttentionShape SelfAttention<T>::shape(std::int64_t sequences, std::int64_t length) const {
  AttentionShape s;
  s.batch = sequences;
  s.length = length;
  s.heads = H;
  s.key_width = E;
  s.value_width = Ev;
  s.row_stride_qkv = H * (2 * E + Ev);
  s.row_stride_out = H * Ev;
  return s;
}

/// Which keys are real, and the dropout of the weights, counted as in a sequence of the full length.
template <class T>
AttentionExtras SelfAttention<T>::extras(const Pass<T>& p) const {
  AttentionExtras e;
  e.seen = p.seen();
  e.dropout = p.dropout(std::max(dropout_, 0.0f), site_);
  e.dropout_stride = longest_;
  return e;
}

/// qkv = x W_qkv + b;  attended = attention(q, k, v).
template <class T>
void SelfAttention<T>::attend(const Pass<T>& p, const T* x) {
  T* qkv = p(qkv_);
  linear_forward(p.linear(D, H * (2 * E + Ev)), qkv, x, p.low(qkv_weight_), qkv_bias_ ? p.w(qkv_bias_) : nullptr);
  attention_forward(plans_.of(layer_, p.length()), shape(p.sequences(), p.length()), p(attended_), p(lse_), qkv,
                    qkv + H * E, qkv + 2 * H * E, p(workspace_), AttentionPath::best, extras(p));
  if (padded_rows_ && p.seen())
    padded_rows_forward(shape(p.sequences(), p.length()), p(attended_), qkv + 2 * H * E, p.seen(), p(padded_));
}

template <class T>
void SelfAttention<T>::again(const Pass<T>& p, const T* x) {
  if (again_)
    attend(p, x);
}

template <class T>
void SelfAttention<T>::forward(const Pass<T>& p, T* y, const T* x) {
  attend(p, x);
  linear_forward(p.linear(H * Ev, D), y, p(attended_), p.low(out_weight_), out_bias_ ? p.w(out_bias_) : nullptr);
}

template <class T>
void SelfAttention<T>::backward(const Pass<T>& p, T* dx, const T* dy, const T* x) {
  T *qkv = p(qkv_), *dqkv = p(dqkv_), *dattended = p(dattended_);
  // y = attended W_out + b
  linear_backward_weight(p.linear(H * Ev, D), p.dw(out_weight_), p(attended_), dy);
  linear_backward_input(p.linear(H * Ev, D), dattended, dy, p.low(out_weight_));
  p.done(out_weight_);
  const bool padded = padded_rows_ && p.seen();
  const AttentionShape sizes = shape(p.sequences(), p.length());
  if (padded)
    padded_rows_take(sizes, dattended, p.seen(), p(padded_));
  attention_backward(plans_.of(layer_, p.length()), shape(p.sequences(), p.length()), dqkv, dqkv + H * E,
                     dqkv + 2 * H * E, dattended, qkv, qkv + H * E, qkv + 2 * H * E, p(attended_), p(lse_),
                     p(workspace_), AttentionPath::best, extras(p));
  if (padded)
    padded_rows_give(sizes, dqkv + 2 * H * E, p(padded_));
  // qkv = x W_qkv + b
  const LinearShape wide = p.linear(D, H * (2 * E + Ev));
  linear_backward_weight(wide, p.dw(qkv_weight_), x, dqkv);
  if (qkv_bias_)
    column_sum(p.dw(qkv_bias_), dqkv, wide.rows, wide.outputs, p(partial_));
  linear_backward_input(wide, dx, dqkv, p.low(qkv_weight_));
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
  return std::make_unique<AttentionRows<T>>(setup, shape, layer_, setup.matrix<T>(qkv_weight_),
                                            qkv_bias_ ? setup.at(qkv_bias_) : nullptr, setup.matrix<T>(out_weight_),
                                            out_bias_ ? setup.at(out_bias_) : nullptr);
}

WEFT_FOR_STORAGE_TYPES(SelfAttention);

} // namespace weft
