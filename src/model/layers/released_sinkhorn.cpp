#include "model/layers/released_sinkhorn.hpp"
#include "kernels/attention/fit_rows.hpp"
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
    : Base(plan, name, setup, Base::OwnWeights::some,
           "got attention.pattern = \"sinkhorn\", which sees later positions, expected a causal pattern: only "
           "those can be sampled from"),
      block_(block), dropout_(setup.dropout),
      sort_weight_(plan.weight(name + "attention.sort.weight", {E, sort_logits}, Initialiser::uniform,
                               std::sqrt(6.0 / static_cast<double>(E + sort_logits)))),
      sets_(plan, name, ReleasedSets::without_tail, block, this->shape(plan.S, plan.N), setup.dropout, this->again_,
            plans) {
  local_ = plan.keep_unless<T>(this->again_, name, "local", plan.R * H * Ev);
  dlocal_ = plan.scratch<T>("dlocal", plan.R * H * Ev);
  const SummedShape sum = summed(plan.S, plan.N);
  pairs_ = plan.scratch<std::uint32_t>("pairs of slots", sum.pair_words());
  sums_ = plan.scratch<float>("sums of slots", sum.sums());
  weights_ = plan.scratch<float>("weights of slots", sum.weights());
  if (dropout_ >= 0)
    sum_site_ = plan.dropout_site();
  // The second term: as many keys again, the slots.
  const double forward = 2.0 * static_cast<double>(plan.R * H * block_ * (E + Ev));
  plan.attention(forward, (this->again_ ? 3.5 : 2.5) * forward);
}

template <class T>
SummedShape ReleasedSinkhorn<T>::summed(std::int64_t sequences, std::int64_t length) const {
  return {sequences, length, block_, H, E, Ev, H * (2 * E + Ev)};
}

template <class T>
Dropout ReleasedSinkhorn<T>::sum_dropout(const Pass<T>& p) const {
  return p.dropout(std::max(dropout_, 0.0f), sum_site_);
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
  sets_.forward(p, this->shape(S, N), p(local_), qkv);
  summed_forward(summed(S, N), attended, static_cast<const T*>(p(local_)), qkv, qkv + H * E, qkv + 2 * H * E, pairs(p),
                 sum_dropout(p), p(sums_), p(weights_));
}

template <class T>
void ReleasedSinkhorn<T>::attend_backward(const Pass<T>& p, T* dqkv, T* dattended, const T* qkv,
                                          const T* /*attended*/) {
  const std::int64_t S = p.sequences(), N = p.length();
  T* dlocal = dattended;
  if (p.seen()) { // the second term wants the padded rows of dattended, too
    dlocal = p(dlocal_);
    fit_rows(dlocal, N, static_cast<const T*>(dattended), N, S, H * Ev);
  }
  sets_.backward(p, this->shape(S, N), dqkv, dlocal, qkv, p(local_));
  summed_backward(summed(S, N), dqkv, dqkv + H * E, dqkv + 2 * H * E, static_cast<const T*>(dattended), qkv,
                  qkv + H * E, qkv + 2 * H * E, pairs(p), sum_dropout(p), p(sums_), p(weights_));
  device_zero(p.dw(sort_weight_), static_cast<std::size_t>(E * sort_logits) * sizeof(float));
}

WEFT_FOR_STORAGE_TYPES(ReleasedSinkhorn);

} // namespace weft
