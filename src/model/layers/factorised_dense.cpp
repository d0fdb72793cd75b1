#include "model/layers/factorised_dense.hpp"
#include "model/storage.hpp"
#include <algorithm>
#include <cmath>

namespace weft {

namespace {
/// Without the dot product there are no queries and keys.
AttentionSetup maps_of(AttentionSetup setup, bool dot_product) {
  if (!dot_product)
    setup.key_width = 0;
  return setup;
}
std::int64_t hidden_of(const AttentionSetup& setup, const SynthesizerSetup& synthesizer) {
  return synthesizer.hidden == 0 ? setup.value_width : synthesizer.hidden;
}
} // namespace

template <class T>
typename FactorisedDense<T>::Factor FactorisedDense<T>::factor(Plan& plan, const std::string& name,
                                                               std::int64_t numbers, std::int64_t which) {
  Factor f;
  f.numbers = numbers;
  f.hidden_begin = H * (2 * E + Ev) + which * H * hidden_;
  f.bias_begin = which * H * hidden_;
  const Initial xavier = {Initialiser::uniform, std::sqrt(6.0 / static_cast<double>(hidden_ + numbers))};
  f.matrix = plan.weight(name + ".weight", {H, hidden_, numbers}, xavier);
  f.constant = plan.weight(name + ".bias", {H, numbers}, Initialiser::zero, 0, Decay::never);
  f.values = plan.scratch<float>(which == 0 ? "alpha" : "beta", plan.R * H * numbers);
  f.gradient = plan.scratch<float>(which == 0 ? "dalpha" : "dbeta", plan.R * H * numbers);
  return f;
}

template <class T>
FactorisedDense<T>::FactorisedDense(Plan& plan, const std::string& name, const AttentionSetup& setup,
                                    const SynthesizerSetup& synthesizer, bool causal, const AttentionPlans& plans)
    : Base(plan, name, maps_of(setup, synthesizer.dot_product), Base::OwnWeights::some, synthesizer_unsampled,
           2 * setup.heads * hidden_of(setup, synthesizer)),
      longest_(plan.N), hidden_(hidden_of(setup, synthesizer)), inner_(factored_inner(plan.N)),
      outer_((plan.N + inner_ - 1) / inner_), causal_(causal), dropout_(setup.dropout), plans_(plans) {
  hidden_bias_ = plan.weight(name + "attention.hidden.bias", {2 * H * hidden_}, Initialiser::zero);
  alpha_ = factor(plan, name + "attention.inner", inner_, 0);
  beta_ = factor(plan, name + "attention.outer", outer_, 1);
  // A row without keys has lse = -infinity by definition.
  lse_ = plan.keep_unless<float>(this->again_, name, "lse", plan.R * H, Finite::no);
  block_lse_ = plan.scratch<float>("lse of a block", plan.R * H);
  const FactoredShape whole = factored_shape(plan.S, plan.N);
  queries_ = plan.scratch<T>("queries", plan.R * whole.query_row());
  dqueries_ = plan.scratch<T>("dqueries", plan.R * whole.query_row());
  keys_ = plan.scratch<T>("keys of a block", plan.S * inner_ * whole.key_row());
  dkeys_ = plan.scratch<T>("dkeys of a block", plan.S * inner_ * whole.key_row());
  block_out_ = plan.scratch<T>("output of a block", plan.R * H * Ev);
  sum_ = plan.scratch<float>("joined output", plan.R * H * Ev);
  dq_ = plan.scratch<float>("dq of all blocks", std::max<std::int64_t>(1, plan.R * H * E));
  bits_ = plan.scratch<std::uint32_t>("bits of a block", plan.S * inner_ / 32);
  for (std::int64_t block = 0; block < whole.blocks(); ++block) {
    workspace_ = plan.attention_workspace(plan_of(whole, block), attention_shape(whole, block));
    plan.attention(plan_of(whole, block), E + inner_, Ev, this->again_);
    if (dropout_ >= 0)
      sites_.push_back(plan.dropout_site());
  }
  const double factors = 2.0 * static_cast<double>(plan.R * H * hidden_ * (inner_ + outer_));
  plan.attention(factors, (this->again_ ? 4 : 3) * factors);
}

template <class T>
FactoredShape FactorisedDense<T>::factored_shape(std::int64_t sequences, std::int64_t length) const {
  const float factor = E == 0 ? 1.0f : std::sqrt(static_cast<float>(E));
  return {sequences, length, H, E, Ev, inner_, outer_, this->wide(), factor};
}

template <class T>
const AttentionPlan& FactorisedDense<T>::plan_of(const FactoredShape& shape, std::int64_t block) const {
  // What sees both ways has two kinds of blocks: whole ones and a last short one.
  const std::int64_t M = shape.keys_of(block), kind = causal_ ? block : M < inner_;
  return plans_.made(
      shape.length,
      [&] {
        return causal_
                   ? earlier_keys(static_cast<int>(shape.length), static_cast<int>(M), static_cast<int>(block * inner_))
                   : every_key(static_cast<int>(shape.length), static_cast<int>(M));
      },
      kind);
}

template <class T>
AttentionShape FactorisedDense<T>::attention_shape(const FactoredShape& shape, std::int64_t block) const {
  AttentionShape s;
  s.batch = shape.sequences;
  s.length = shape.length;
  s.heads = H;
  s.key_width = E + inner_;
  s.value_width = Ev;
  s.row_stride_qkv = shape.query_row();
  s.row_stride_out = H * Ev;
  s.key_length = shape.keys_of(block);
  s.row_stride_kv = shape.key_row();
  return s;
}

template <class T>
AttentionExtras FactorisedDense<T>::extras(const Pass<T>& p, const FactoredShape& shape, std::int64_t block) const {
  AttentionExtras e;
  if (p.seen()) {
    block_bits(shape, block, p(bits_), p.seen());
    e.seen = p(bits_);
  }
  if (dropout_ >= 0)
    e.dropout = p.dropout(dropout_, sites_[static_cast<std::size_t>(block)]);
  e.dropout_stride = std::max(longest_, inner_);
  e.scale = 1 / shape.factor;
  return e;
}

template <class T>
FactorShape FactorisedDense<T>::factor_shape(const Pass<T>& p, const Factor& factor) const {
  return {p.rows(), H, hidden_, factor.numbers, this->wide()};
}

template <class T>
void FactorisedDense<T>::make_factors(const Pass<T>& p, const T* qkv) const {
  for (const Factor& f : {alpha_, beta_})
    factor_rows_forward(factor_shape(p, f), p(f.values), qkv + f.hidden_begin, p.w(hidden_bias_) + f.bias_begin,
                        p.w(f.matrix), p.w(f.constant));
}

template <class T>
void FactorisedDense<T>::lay_out(const Pass<T>& p, const FactoredShape& shape, std::int64_t block, const T* qkv) const {
  block_queries_forward(shape, block, p(queries_), qkv, p(alpha_.values), p(beta_.values));
  block_keys_forward(shape, block, p(keys_), qkv);
}

template <class T>
void FactorisedDense<T>::attend(const Pass<T>& p, T* attended, const T* qkv) {
  make_factors(p, qkv);
  const FactoredShape shape = factored_shape(p.sequences(), p.length());
  for (std::int64_t block = 0; block < shape.blocks(); ++block) {
    lay_out(p, shape, block, qkv);
    attention_forward(plan_of(shape, block), attention_shape(shape, block), p(block_out_), p(block_lse_), p(queries_),
                      p(keys_), p(keys_) + shape.query_row(), p(workspace_), AttentionPath::best,
                      extras(p, shape, block));
    join_block(shape, block, p(sum_), p(lse_), p(block_out_), p(block_lse_));
  }
  store_rows(p.rows(), H * Ev, attended, H * Ev, p(sum_));
}

template <class T>
void FactorisedDense<T>::attend_backward(const Pass<T>& p, T* dqkv, T* dattended, const T* qkv, const T* attended) {
  make_factors(p, qkv); // other layers have been in their place
  const FactoredShape shape = factored_shape(p.sequences(), p.length());
  const auto numbers = static_cast<std::size_t>(p.rows() * H * outer_);
  device_zero(p(beta_.gradient), numbers * sizeof(float)); // what a shorter micro-batch does not reach
  for (std::int64_t block = 0; block < shape.blocks(); ++block) {
    lay_out(p, shape, block, qkv);
    attention_backward(plan_of(shape, block), attention_shape(shape, block), p(dqueries_), p(dkeys_),
                       p(dkeys_) + shape.query_row(), dattended, p(queries_), p(keys_), p(keys_) + shape.query_row(),
                       attended, p(lse_), p(workspace_), AttentionPath::best, extras(p, shape, block));
    block_queries_backward(shape, block, p(dq_), p(alpha_.gradient), p(beta_.gradient), p(dqueries_), p(alpha_.values),
                           p(beta_.values));
    block_keys_backward(shape, block, dqkv, p(dkeys_));
  }
  store_rows(p.rows(), H * E, dqkv, this->wide(), p(dq_));
  for (const Factor& f : {alpha_, beta_})
    factor_rows_backward(factor_shape(p, f), dqkv + f.hidden_begin, p.dw(hidden_bias_) + f.bias_begin, p.dw(f.matrix),
                         p.dw(f.constant), p(f.gradient), qkv + f.hidden_begin, p.w(hidden_bias_) + f.bias_begin,
                         p.w(f.matrix));
}

WEFT_FOR_STORAGE_TYPES(FactorisedDense);

} // namespace weft
