#include "model/layers/lsh_attention.hpp"
#include "io/error.hpp"
#include "kernels/attention/fit_rows.hpp"
#include "kernels/lsh/released.hpp"
#include "kernels/sum/sum.hpp"
#include "model/layers/attention_rows.hpp"
#include "model/layers/rows.hpp"
#include "model/storage.hpp"
#include <algorithm>

namespace weft {

template <class T>
LshAttention<T>::LshAttention(Plan& plan, const std::string& name, const AttentionSetup& sizes, const LshSetup& setup)
    : D(sizes.width), H(sizes.heads), E(sizes.key_width), Ev(sizes.value_width), setup_(setup),
      again_(plan.recompute != Recompute::none), dropout_(setup.released ? -1 : sizes.dropout), longest_(plan.N) {
  const std::int64_t N = setup.slots(plan.N), rows = plan.S * N, R = setup.rule.rounds;
  qv_weight_ = plan.weight(name + "attention.qv.weight", {D, wide()}, sizes.qkv);
  if (sizes.biases && setup.qv_bias)
    qv_bias_ = plan.weight(name + "attention.qv.bias", {wide()}, sizes.qkv_bias);
  if (!setup.released) {
    out_weight_ = plan.weight(name + "attention.out.weight", {H * Ev, D}, sizes.out);
    if (sizes.biases)
      out_bias_ = plan.weight(name + "attention.out.bias", {D}, sizes.out_bias);
  }
  qv_ = plan.keep_unless<T>(again_, name, "qv", rows * wide());
  buckets_ = plan.keep<int>(name + "buckets", rows * H * R, Finite::no);
  attended_ = plan.keep_unless<T>(again_, name, "attended", rows * H * Ev);
  // The shape and rule of the longest micro-batch say how much room there must be.
  AttentionShape shape{plan.S, N, H, E, Ev, wide(), H * Ev};
  lse_ = plan.keep_unless<float>(again_, name, "lse", lsh_statistics(setup.rule, shape), Finite::no);
  if (setup.released)
    short_qv_ = short_dqv_ = plan.scratch<T>("unpadded", plan.R * wide());
  if (setup.keys != SharedKeys::raw)
    keys_ = plan.scratch<T>("keys", rows * wide());
  projections_ = plan.scratch<float>("projections", H * R * E * setup.hash.columns());
  order_ = plan.scratch<int>("order", rows * H * R);
  chunk_of_ = plan.scratch<int>("chunk of", rows * H * R);
  real_ = plan.scratch<int>("real positions", plan.S);
  sorting_ = plan.scratch<int>("sorting", lsh_sort_workspace(shape, R, setup.hash.buckets()));
  workspace_ = plan.scratch<float>("attention", std::max(lsh_attention_workspace(setup.rule, shape, false),
                                                         lsh_attention_workspace(setup.rule, shape, true)));
  dqv_ = plan.scratch<T>("wide", rows * wide());
  dattended_ = plan.scratch<T>("dattended", rows * H * Ev);
  dq_ = plan.scratch<float>("dq", rows * H * E);
  dk_ = plan.scratch<float>("dk", rows * H * E);
  dv_ = plan.scratch<float>("dv", rows * H * Ev);
  partial_ = plan.scratch<float>("partial", column_sum_workspace(plan.R, wide()));
  if (dropout_ >= 0)
    site_ = plan.dropout_site();
  plan.product({plan.R, D, wide()}, again_);
  if (!setup.released)
    plan.product({plan.R, H * Ev, D}, plan.recompute == Recompute::block);
  // Every query meets two chunks in each round: two products forward, five backward; and is hashed once.
  const double queries = static_cast<double>(rows * H * R), meets = std::min<std::int64_t>(2 * setup.rule.chunk, N);
  const double attend = queries * meets * 2 * static_cast<double>(E + Ev),
               hash = queries * 2 * static_cast<double>(E * setup.hash.columns());
  plan.attention(attend + hash, (again_ ? 3.5 : 2.5) * attend);
}

template <class T>
AttentionShape LshAttention<T>::shape(const Pass<T>& p) const {
  return {p.sequences(), setup_.slots(p.length()), H, E, Ev, wide(), H * Ev};
}

template <class T>
AttentionExtras LshAttention<T>::extras(const Pass<T>& p) const {
  AttentionExtras e;
  e.seen = setup_.released ? nullptr : p.seen();
  e.dropout = p.dropout(std::max(dropout_, 0.0f), site_);
  e.dropout_stride = longest_;
  return e;
}

/// q | v
template <class T>
void LshAttention<T>::project(const Pass<T>& p, const T* x) {
  T* to = setup_.released ? p(short_qv_) : p(qv_);
  linear_forward(p.linear(D, wide()), to, x, p.low(qv_weight_), qv_bias_ ? p.w(qv_bias_) : nullptr);
  if (setup_.released)
    fit_rows(p(qv_), setup_.slots(p.length()), to, p.length(), p.sequences(), wide());
}

/// A fresh draw for every step; one that no step has where nothing is trained, so that a model's scores do not depend
/// on when they are asked for.
template <class T>
void LshAttention<T>::hash(const Pass<T>& p) {
  LshHash hash = setup_.hash;
  hash.step = fixed_hash_step;
  if (p.training() && !setup_.fixed_hashes) {
    const Dropout now = p.dropout(0, 0);
    hash.step = now.step;
    hash.moment = now.moment;
  }
  lsh_projections(p(projections_), hash, H, E);
  lsh_buckets(p(buckets_), hash, shape(p), p(qv_), p(projections_), extras(p).seen);
}

template <class T>
LshOrder LshAttention<T>::sort(const Pass<T>& p) {
  lsh_sort(p(order_), p(chunk_of_), p(real_), p(buckets_), shape(p), setup_.rule.rounds, setup_.hash.buckets(),
           rule(p).chunk, p(sorting_));
  return {p(buckets_), p(order_), p(chunk_of_), p(real_)};
}

template <class T>
const T* LshAttention<T>::make_keys(const Pass<T>& p) {
  if (setup_.keys == SharedKeys::raw)
    return p(qv_);
  shared_keys_forward(setup_.keys, shape(p), p(keys_), p(qv_));
  return p(keys_);
}

template <class T>
void LshAttention<T>::attend(const Pass<T>& p) {
  const LshOrder order = sort(p);
  lsh_attention_forward(rule(p), order, shape(p), p(attended_), p(lse_), p(qv_), make_keys(p), p(qv_) + H * E,
                        p(workspace_), extras(p));
}

template <class T>
void LshAttention<T>::output(const Pass<T>& p, T* y) {
  if (setup_.released)
    scramble_heads(y, p(attended_), p.sequences(), p.length(), H, Ev);
  else
    linear_forward(p.linear(H * Ev, D), y, p(attended_), p.low(out_weight_), out_bias_ ? p.w(out_bias_) : nullptr);
}

template <class T>
void LshAttention<T>::forward(const Pass<T>& p, T* y, const T* x) {
  project(p, x);
  hash(p);
  attend(p);
  output(p, y);
}

template <class T>
void LshAttention<T>::forward_again(const Pass<T>& p, T* y, const T* x) {
  project(p, x);
  attend(p);
  output(p, y);
}

template <class T>
void LshAttention<T>::again(const Pass<T>& p, const T* x) {
  if (!again_)
    return;
  project(p, x);
  attend(p);
}

template <class T>
void LshAttention<T>::backward(const Pass<T>& p, T* dx, const T* dy, const T* x) {
  const AttentionShape sizes = shape(p);
  if (setup_.released) {
    scramble_heads_backward(p(dattended_), dy, p.sequences(), p.length(), H, Ev);
  } else { // y = attended W_out + b
    linear_backward_weight(p.linear(H * Ev, D), p.dw(out_weight_), p(attended_), dy);
    linear_backward_input(p.linear(H * Ev, D), p(dattended_), dy, p.low(out_weight_));
    p.done(out_weight_);
  }
  const LshOrder order = sort(p);
  lsh_attention_backward(rule(p), order, sizes, p(dq_), p(dk_), p(dv_), p(dattended_), p(qv_), make_keys(p),
                         p(qv_) + H * E, p(attended_), p(lse_), p(workspace_), extras(p));
  T* dqv = p(dqv_);
  shared_keys_backward(setup_.keys, sizes, dqv, dqv + H * E, p(dq_), p(dk_), p(dv_), p(qv_));
  if (setup_.released) {
    fit_rows(p(short_dqv_), p.length(), dqv, sizes.length, p.sequences(), wide());
    dqv = p(short_dqv_);
  }
  // q | v = x W_qv + b
  const LinearShape in = p.linear(D, wide());
  linear_backward_weight(in, p.dw(qv_weight_), x, dqv);
  if (qv_bias_)
    column_sum(p.dw(qv_bias_), dqv, in.rows, in.outputs, p(partial_));
  linear_backward_input(in, dx, dqv, p.low(qv_weight_));
}

/// Keys are made of the new position's queries, which are therefore projected twice.
template <class T>
std::unique_ptr<RowLayer<T>> LshAttention<T>::rows(const RowSetup& setup) const {
  if (!setup_.dense)
    throw InputError("got attention over hash buckets (attention.pattern = \"lsh\"): what a position sees depends on "
                     "where all positions fall, so it cannot be sampled from row by row; expected a pattern that is a "
                     "set of keys. The same weights with full attention: attention.pattern=dense "
                     "attention.shared_qk=true");
  const DecodeShape shape{setup.samples, H, E, Ev, setup.length, H * (2 * E + Ev), setup_.rule.scale};
  const std::vector<RowSetup::Columns> parts = {{0, H * E}, {0, H * E}, {H * E, wide()}};
  const AttentionShape keys{setup.samples, 1, H, E, Ev, shape.row_stride, H * Ev};
  const std::int64_t behind_queries = H * E;
  auto make_keys = [kind = setup_.keys, keys, behind_queries](T* qkv) {
    shared_keys_forward(kind, keys, qkv + behind_queries, static_cast<const T*>(qkv));
  };
  const Buffer<float> weight = setup.columns(qv_weight_, parts);
  return std::make_unique<AttentionRows<T>>(setup, shape, 0, StripMatrix<T>(weight.data(), D, shape.row_stride),
                                            qv_bias_ ? setup.columns(qv_bias_, parts) : Buffer<float>(),
                                            setup.matrix<T>(out_weight_), out_bias_ ? setup.at(out_bias_) : nullptr,
                                            make_keys);
}

WEFT_FOR_STORAGE_TYPES(LshAttention);

} // namespace weft
