#include "model/layers/released_local.hpp"
#include "io/error.hpp"
#include "kernels/attention/lengthen.hpp"
#include "kernels/attention/padded_rows.hpp"
#include "model/key_bits.hpp"
#include "model/layers/rows.hpp"
#include "model/storage.hpp"
#include <algorithm>

namespace weft {

template <class T>
ReleasedLocal<T>::ReleasedLocal(Plan& plan, const std::string& name, const AttentionSetup& setup, std::int64_t block,
                                const AttentionPlans& plans)
    : Base(plan, name, setup, Base::OwnWeights::none), block_(block), dropout_(setup.dropout), plans_(plans) {
  const ReleasedSets longest = sets(plan.N);
  const std::int64_t rows = plan.S * longest.whole(), wide = H * (2 * E + Ev);
  lse_ = plan.keep_unless<float>(this->again_, name, "lse", rows * H);
  rows_ = plan.scratch<T>("longer rows", rows * wide);
  drows_ = plan.scratch<T>("longer slopes", rows * wide);
  out_ = plan.scratch<T>("longer out", rows * H * Ev);
  dout_ = plan.scratch<T>("longer dout", rows * H * Ev);
  bits_ = plan.scratch<std::uint32_t>("bits of slots", plan.S * bit_words(longest.whole()));
  const AttentionPlan& whole = plan_of(plan.N);
  const AttentionShape sizes = this->shape(plan.S, longest.whole());
  const std::size_t bytes =
      std::max(attention_workspace_bytes(whole, sizes, false), attention_workspace_bytes(whole, sizes, true));
  workspace_ = plan.scratch<float>("attention", static_cast<std::int64_t>((bytes + 3) / 4));
  padded_ = plan.scratch<float>("padded rows", padded_rows_workspace(sizes, longest.sets));
  if (dropout_ >= 0)
    site_ = plan.dropout_site();
  plan.attention(whole, E, Ev, this->again_);
}

template <class T>
const AttentionPlan& ReleasedLocal<T>::plan_of(std::int64_t length) const {
  const ReleasedSets s = sets(length);
  return plans_.made(length,
                     [&s] { return residues_bidirectional(static_cast<int>(s.whole()), static_cast<int>(s.sets)); });
}

template <class T>
AttentionExtras ReleasedLocal<T>::extras(const Pass<T>& p) const {
  AttentionExtras e;
  if (p.seen()) {
    released_set_bits(p(bits_), p.seen(), p.sequences(), sets(p.length()));
    e.seen = p(bits_);
  }
  e.dropout = p.dropout(std::max(dropout_, 0.0f), site_);
  return e;
}

template <class T>
void ReleasedLocal<T>::attend(const Pass<T>& p, T* attended, const T* qkv) {
  const std::int64_t S = p.sequences(), N = p.length(), longer = sets(N).whole();
  const AttentionShape sizes = this->shape(S, longer);
  const AttentionExtras e = extras(p);
  T *rows = p(rows_), *out = p(out_);
  lengthen_rows(rows, qkv, S, longer, N, sizes.row_stride_qkv);
  attention_forward(plan_of(N), sizes, out, p(lse_), rows, rows + H * E, rows + 2 * H * E, p(workspace_),
                    AttentionPath::best, e);
  if (e.seen)
    padded_rows_forward(sizes, out, rows + 2 * H * E, e.seen, p(padded_), sets(N).sets);
  shorten_rows(attended, out, S, longer, N, H * Ev);
}

template <class T>
void ReleasedLocal<T>::attend_backward(const Pass<T>& p, T* dqkv, T* dattended, const T* qkv, const T* attended) {
  const std::int64_t S = p.sequences(), N = p.length(), longer = sets(N).whole();
  const AttentionShape sizes = this->shape(S, longer);
  const AttentionExtras e = extras(p);
  T *rows = p(rows_), *drows = p(drows_), *out = p(out_), *dout = p(dout_);
  lengthen_rows(rows, qkv, S, longer, N, sizes.row_stride_qkv);
  lengthen_rows(out, attended, S, longer, N, H * Ev);
  lengthen_rows(dout, static_cast<const T*>(dattended), S, longer, N, H * Ev);
  if (e.seen)
    padded_rows_take(sizes, dout, e.seen, p(padded_), sets(N).sets);
  attention_backward(plan_of(N), sizes, drows, drows + H * E, drows + 2 * H * E, dout, rows, rows + H * E,
                     rows + 2 * H * E, out, p(lse_), p(workspace_), AttentionPath::best, e);
  if (e.seen)
    padded_rows_give(sizes, drows + 2 * H * E, p(padded_), sets(N).sets);
  shorten_rows(dqkv, drows, S, longer, N, sizes.row_stride_qkv);
}

template <class T>
std::unique_ptr<RowLayer<T>> ReleasedLocal<T>::rows(const RowSetup& /*setup*/) const {
  throw InputError(
      "got local attention in its released form, which sees later positions, expected a causal model: only "
      "that can be sampled from");
}

WEFT_FOR_STORAGE_TYPES(ReleasedLocal);

} // namespace weft
