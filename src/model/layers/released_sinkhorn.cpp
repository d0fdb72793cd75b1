#include "model/layers/released_sinkhorn.hpp"
#include "io/error.hpp"
#include "kernels/attention/lengthen.hpp"
#include "kernels/attention/padded_rows.hpp"
#include "model/key_bits.hpp"
#include "model/layers/rows.hpp"
#include "model/storage.hpp"
#include <algorithm>
#include <cmath>

namespace weft {

namespace {
constexpr std::int64_t sort_logits = 25; ///< of the released sort net, however many blocks there are
}

template <class T>
ReleasedSinkhorn<T>::ReleasedSinkhorn(Plan& plan, const std::string& name, const AttentionSetup& setup,
                                      std::int64_t block, const AttentionPlans& plans)
    : Base(plan, name, setup, Base::OwnWeights::some), block_(block), dropout_(setup.dropout), plans_(plans) {
  if (plan.N % block != 0)
    throw InputError("got blocks of " + std::to_string(block) + " in sequences of " + std::to_string(plan.N) +
                     ", expected a divisor: the released form of sinkhorn has whole blocks only");
  sort_weight_ = plan.weight(name + "attention.sort.weight", {E, sort_logits}, Initialiser::uniform,
                             std::sqrt(6.0 / static_cast<double>(E + sort_logits)));
  lse_ = plan.keep_unless<float>(this->again_, name, "lse", plan.R * H);
  local_ = plan.keep_unless<T>(this->again_, name, "local", plan.R * H * Ev);
  dlocal_ = plan.scratch<T>("dlocal", plan.R * H * Ev);
  bits_ = plan.scratch<std::uint32_t>("bits of slots", plan.S * bit_words(plan.N));
  const SummedShape sum = summed(plan.S, plan.N);
  pairs_ = plan.scratch<std::uint32_t>("pairs of slots", sum.pair_words());
  sums_ = plan.scratch<float>("sums of slots", sum.sums());
  weights_ = plan.scratch<float>("weights of slots", sum.weights());
  const AttentionPlan& whole = plan_of(plan.N);
  const AttentionShape sizes = this->shape(plan.S, plan.N);
  const std::size_t bytes =
      std::max(attention_workspace_bytes(whole, sizes, false), attention_workspace_bytes(whole, sizes, true));
  workspace_ = plan.scratch<float>("attention", static_cast<std::int64_t>((bytes + 3) / 4));
  padded_ = plan.scratch<float>("padded rows", padded_rows_workspace(sizes, sets(plan.N).sets));
  if (dropout_ >= 0) {
    site_ = plan.dropout_site();
    sum_site_ = plan.dropout_site();
  }
  plan.attention(whole, E, Ev, this->again_);
  // The second term: as many keys again, the slots.
  const double forward = 2.0 * static_cast<double>(plan.R * H * block_ * (E + Ev));
  plan.work(forward, (this->again_ ? 3.5 : 2.5) * forward);
}

template <class T>
const AttentionPlan& ReleasedSinkhorn<T>::plan_of(std::int64_t length) const {
  return plans_.made(
      length, [&] { return residues_bidirectional(static_cast<int>(length), static_cast<int>(sets(length).sets)); });
}

template <class T>
SummedShape ReleasedSinkhorn<T>::summed(std::int64_t sequences, std::int64_t length) const {
  return {sequences, length, block_, H, E, Ev, H * (2 * E + Ev)};
}

template <class T>
Dropout ReleasedSinkhorn<T>::dropout(const Pass<T>& p, std::uint32_t site) const {
  return p.dropout(std::max(dropout_, 0.0f), site);
}

template <class T>
AttentionExtras ReleasedSinkhorn<T>::extras(const Pass<T>& p) const {
  AttentionExtras e;
  if (p.seen()) {
    released_set_bits(p(bits_), p.seen(), p.sequences(), sets(p.length()));
    e.seen = p(bits_);
  }
  e.dropout = dropout(p, site_);
  return e;
}

template <class T>
const std::uint32_t* ReleasedSinkhorn<T>::pairs(const Pass<T>& p) const {
  if (!p.seen())
    return nullptr;
  summed_pairs(summed(p.sequences(), p.length()), p(pairs_), p.seen());
  return p(pairs_);
}

template <class T>
void ReleasedSinkhorn<T>::attend(const Pass<T>& p, T* attended, const T* qkv) {
  const std::int64_t S = p.sequences(), N = p.length();
  const AttentionShape sizes = this->shape(S, N);
  const AttentionExtras e = extras(p);
  const T *q = qkv, *k = qkv + H * E, *v = qkv + 2 * H * E;
  attention_forward(plan_of(N), sizes, p(local_), p(lse_), q, k, v, p(workspace_), AttentionPath::best, e);
  if (e.seen)
    padded_rows_forward(sizes, p(local_), v, e.seen, p(padded_), sets(N).sets);
  summed_forward(summed(S, N), attended, static_cast<const T*>(p(local_)), q, k, v, pairs(p), dropout(p, sum_site_),
                 p(sums_), p(weights_));
}

template <class T>
void ReleasedSinkhorn<T>::attend_backward(const Pass<T>& p, T* dqkv, T* dattended, const T* qkv,
                                          const T* /*attended*/) {
  const std::int64_t S = p.sequences(), N = p.length();
  const AttentionShape sizes = this->shape(S, N);
  const AttentionExtras e = extras(p);
  const T *q = qkv, *k = qkv + H * E, *v = qkv + 2 * H * E;
  T *dq = dqkv, *dk = dqkv + H * E, *dv = dqkv + 2 * H * E, *dlocal = dattended;
  if (e.seen) { // the second term wants the padded rows of dattended, too
    dlocal = p(dlocal_);
    lengthen_rows(dlocal, static_cast<const T*>(dattended), S, N, N, H * Ev);
    padded_rows_take(sizes, dlocal, e.seen, p(padded_), sets(N).sets);
  }
  attention_backward(plan_of(N), sizes, dq, dk, dv, static_cast<const T*>(dlocal), q, k, v,
                     static_cast<const T*>(p(local_)), static_cast<const float*>(p(lse_)), p(workspace_),
                     AttentionPath::best, e);
  if (e.seen)
    padded_rows_give(sizes, dv, p(padded_), sets(N).sets);
  summed_backward(summed(S, N), dq, dk, dv, static_cast<const T*>(dattended), q, k, v, pairs(p), dropout(p, sum_site_),
                  p(sums_), p(weights_));
  device_zero(p.dw(sort_weight_), static_cast<std::size_t>(E * sort_logits) * sizeof(float));
}

template <class T>
std::unique_ptr<RowLayer<T>> ReleasedSinkhorn<T>::rows(const RowSetup& /*setup*/) const {
  throw InputError("got attention.pattern = \"sinkhorn\", which sees later positions, expected a causal pattern: only "
                   "those can be sampled from");
}

WEFT_FOR_STORAGE_TYPES(ReleasedSinkhorn);

} // namespace weft
