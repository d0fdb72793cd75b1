#include "model/layers/synthesizer.hpp"
#include "config/config.hpp"
#include "kernels/attention/padded_rows.hpp"
#include "kernels/sum/sum.hpp"
#include "model/storage.hpp"
#include <algorithm>
#include <cmath>

namespace weft {

SynthesizerSetup synthesizer_of(const Config& c) {
  const std::string& mode = c.attention.mode;
  return {mode == "random"  ? Synthesis::random
          : mode == "dense" ? Synthesis::dense
                            : Synthesis::factorised_random,
          c.attention.dot_product,
          c.attention.mixture,
          c.attention.rank,
          c.attention.hidden,
          c.attention.form == "lra"};
}

namespace {
/// Without the dot product there are no queries and keys.
AttentionSetup maps_of(AttentionSetup setup, const SynthesizerSetup& synthesizer) {
  if (!synthesizer.dot_product)
    setup.key_width = 0;
  return setup;
}
SynthesizerSetup completed(SynthesizerSetup synthesizer, const AttentionSetup& setup) {
  if (synthesizer.hidden == 0)
    synthesizer.hidden = setup.value_width;
  return synthesizer;
}
std::int64_t hidden_columns(const SynthesizerSetup& synthesizer, const AttentionSetup& setup) {
  return synthesizer.mode == Synthesis::dense ? setup.heads * completed(synthesizer, setup).hidden : 0;
}
Initial uniform(double squares, std::int64_t numbers) {
  return {Initialiser::uniform, std::sqrt(squares / static_cast<double>(numbers))};
}
} // namespace

template <class T>
Synthesizer<T>::Synthesizer(Plan& plan, const std::string& name, const AttentionSetup& setup,
                            const SynthesizerSetup& synthesizer, const AttentionPlans& plans)
    : Base(plan, name, maps_of(setup, synthesizer), Base::OwnWeights::some, synthesizer_unsampled,
           hidden_columns(synthesizer, setup)),
      synthesizer_(completed(synthesizer, setup)), longest_(plan.N), dropout_(setup.dropout),
      padded_rows_(setup.padded_rows && synthesizer.dot_product),
      mask_padding_(!synthesizer.released || synthesizer.dot_product), plans_(plans) {
  const std::int64_t N = plan.N, k = synthesizer_.rank, d = synthesizer_.hidden;
  const std::int64_t own = synthesizer_.released ? 1 : H; // W2 and b2
  switch (synthesizer_.mode) {
  case Synthesis::random: // Xavier's bound with the heads as what a filter spans
    table_ = plan.weight(name + "attention.random.weight", {H, N, N}, uniform(3, H * N));
    break;
  case Synthesis::factorised_random:
    left_ = plan.weight(name + "attention.random_left.weight", {H, N, k}, uniform(6, N + k));
    right_ = plan.weight(name + "attention.random_right.weight", {H, N, k}, uniform(6, N + k));
    break;
  case Synthesis::dense:
    hidden_bias_ = plan.weight(name + "attention.hidden.bias", {H * d}, Initialiser::zero);
    matrix_ = plan.weight(name + "attention.dense.weight", {own, d, N}, uniform(6, N + d));
    constant_ = plan.weight(name + "attention.dense.bias", {own, N}, Initialiser::zero, 0, Decay::never);
    break;
  }
  if (synthesizer_.mixture)
    share_ = plan.weight(name + "attention.mixture.weight", {1}, Initialiser::zero);
  // A row without keys has lse = -infinity by definition.
  lse_ = plan.keep_unless<float>(this->again_, name, "lse", plan.R * H, Finite::no);
  if (joins()) {
    const std::int64_t numbers = plan.R * joined_width(joined_shape(plan.S, N));
    joined_ = plan.keep_unless<T>(this->again_, name, "joined", numbers);
    djoined_ = plan.scratch<T>("djoined", numbers);
    partial_ = plan.scratch<float>("partial", std::max(column_sum_workspace(plan.R, has_table() ? 1 : H * d),
                                                       has_table() ? column_sum_workspace(H * N, 1) + 1 : 0));
  }
  if (has_table() && synthesizer_.mixture)
    mixed_ = plan.scratch<float>("mixed scores", H * N * N);
  const AttentionPlan& whole = plans_.of(0, N);
  const AttentionShape sizes = scored_shape(plan.S, N);
  workspace_ = plan.attention_workspace(whole, sizes);
  if (padded_rows_)
    padded_ = plan.scratch<float>("padded rows", padded_rows_workspace(sizes));
  if (dropout_ >= 0)
    site_ = plan.dropout_site();
  plan.attention(whole, sizes.key_width, Ev, this->again_);
}

template <class T>
std::int64_t Synthesizer<T>::features() const {
  return has_table() ? 0 : synthesizer_.mode == Synthesis::dense ? synthesizer_.hidden + 1 : synthesizer_.rank;
}

template <class T>
JoinShape Synthesizer<T>::joined_shape(std::int64_t sequences, std::int64_t length) const {
  return {sequences,
          length,
          H,
          E,
          Ev,
          features(),
          this->wide(),
          longest_,
          E == 0 ? 1.0f : std::sqrt(static_cast<float>(E))};
}

template <class T>
AttentionShape Synthesizer<T>::scored_shape(std::int64_t sequences, std::int64_t length) const {
  AttentionShape s = this->shape(sequences, length);
  s.key_width = E + features();
  if (joins())
    s.row_stride_qkv = joined_width(joined_shape(sequences, length));
  return s;
}

template <class T>
AttentionExtras Synthesizer<T>::extras(const Pass<T>& p) const {
  AttentionExtras e;
  e.seen = seen(p);
  e.dropout = p.dropout(std::max(dropout_, 0.0f), site_);
  e.dropout_stride = longest_;
  e.scale = 1 / joined_shape(p).factor;
  if (has_table()) {
    e.table = synthesizer_.mixture ? p(mixed_) : p.w(table_);
    e.table_stride = longest_;
  }
  return e;
}

/// s R: in a place that all layers share.
template <class T>
void Synthesizer<T>::mix_table(const Pass<T>& p) const {
  if (has_table() && synthesizer_.mixture)
    mixture_of_table_forward(H * longest_, longest_, p(mixed_), p.w(table_), p.w(share_));
}

template <class T>
void Synthesizer<T>::attend(const Pass<T>& p, T* attended, const T* qkv) {
  const JoinShape join = joined_shape(p);
  if (joins())
    join_rows_forward(join, p(joined_), qkv);
  if (synthesizer_.mode == Synthesis::factorised_random)
    factors_forward(join, p(joined_), p.w(left_), p.w(right_));
  if (synthesizer_.mode == Synthesis::dense)
    hidden_forward(join, {synthesizer_.released, synthesizer_.released}, p(joined_), qkv + H * (2 * E + Ev),
                   p.w(hidden_bias_), p.w(matrix_), p.w(constant_));
  if (synthesizer_.mixture) {
    mixture_forward(join, p(joined_), p.w(share_));
    mix_table(p);
  }
  const AttentionShape sizes = scored_shape(p.sequences(), p.length());
  const T *q = scored(p, qkv), *k = q + H * sizes.key_width, *v = k + H * sizes.key_width;
  attention_forward(plans_.of(0, p.length()), sizes, attended, p(lse_), q, k, v, p(workspace_), AttentionPath::best,
                    extras(p));
  if (padded_rows_ && p.seen())
    padded_rows_forward(sizes, attended, v, p.seen(), p(padded_));
}

template <class T>
void Synthesizer<T>::attend_backward(const Pass<T>& p, T* dqkv, T* dattended, const T* qkv, const T* attended) {
  const auto clear = [&](Weight weight, std::int64_t numbers) { // what a shorter micro-batch does not reach
    if (p.length() < longest_ || weight.number == table_.number)
      device_zero(p.dw(weight), static_cast<std::size_t>(numbers) * sizeof(float));
  };
  const AttentionShape sizes = scored_shape(p.sequences(), p.length());
  const std::int64_t width = H * sizes.key_width;
  const T* q = scored(p, qkv);
  T* dq = joins() ? p(djoined_) : dqkv;
  mix_table(p);
  const bool padded = padded_rows_ && p.seen();
  if (padded)
    padded_rows_take(sizes, dattended, p.seen(), p(padded_));
  AttentionExtras extra = extras(p);
  if (has_table()) {
    clear(table_, H * longest_ * longest_);
    extra.dtable = p.dw(table_);
  }
  attention_backward(plans_.of(0, p.length()), sizes, dq, dq + width, dq + 2 * width, dattended, q, q + width,
                     q + 2 * width, attended, p(lse_), p(workspace_), AttentionPath::best, extra);
  if (padded)
    padded_rows_give(sizes, dq + 2 * width, p(padded_));
  if (!joins())
    return;
  const JoinShape join = joined_shape(p);
  if (synthesizer_.mixture)
    mixture_backward(join, dq, p.dw(share_), q, p.w(share_), p(partial_));
  join_rows_backward(join, dqkv, dq);
  if (has_table()) {
    mixture_of_table_backward(H * longest_, longest_, p.dw(table_), p.dw(share_), p.w(table_), p.w(share_),
                              p(partial_));
  } else if (synthesizer_.mode == Synthesis::factorised_random) {
    clear(left_, H * longest_ * synthesizer_.rank);
    clear(right_, H * longest_ * synthesizer_.rank);
    factors_backward(join, p.dw(left_), p.dw(right_), dq);
  } else {
    const std::int64_t own = synthesizer_.released ? 1 : H, columns = H * (2 * E + Ev);
    clear(matrix_, own * synthesizer_.hidden * longest_);
    clear(constant_, own * longest_);
    hidden_backward(join, {synthesizer_.released, synthesizer_.released}, dqkv + columns, p.dw(hidden_bias_),
                    p.dw(matrix_), p.dw(constant_), dq, qkv + columns, p.w(hidden_bias_), p(partial_));
  }
}

WEFT_FOR_STORAGE_TYPES(Synthesizer);

} // namespace weft
