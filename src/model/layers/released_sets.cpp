#include "model/layers/released_sets.hpp"
#include "kernels/attention/padded_rows.hpp"
#include "model/key_bits.hpp"
#include "model/storage.hpp"
#include <algorithm>

namespace weft {

template <class T>
ReleasedSetAttention<T>::ReleasedSetAttention(Plan& plan, const std::string& name, Cut cut, std::int64_t block,
                                              const AttentionShape& longest, float dropout, bool again,
                                              const AttentionPlans& plans)
    : cut_(cut), block_(block), dropout_(dropout), plans_(plans) {
  lse_ = plan.keep_unless<float>(again, name, "lse", longest.batch * longest.length * longest.heads);
  bits_ = plan.scratch<std::uint32_t>("bits of slots", longest.batch * bit_words(longest.length));
  const AttentionPlan& whole = plan_of(plan.N);
  workspace_ = plan.attention_workspace(whole, longest);
  padded_ = plan.scratch<float>("padded rows", padded_rows_workspace(longest, sets(plan.N).sets));
  if (dropout_ >= 0)
    site_ = plan.dropout_site();
  plan.attention(whole, longest.key_width, longest.value_width, again);
}

template <class T>
const AttentionPlan& ReleasedSetAttention<T>::plan_of(std::int64_t length) const {
  const ReleasedSets s = sets(length);
  return plans_.made(length,
                     [&s] { return residues_bidirectional(static_cast<int>(s.whole()), static_cast<int>(s.sets)); });
}

template <class T>
AttentionExtras ReleasedSetAttention<T>::extras(const Pass<T>& p) const {
  AttentionExtras e;
  if (p.seen()) {
    released_set_bits(p(bits_), p.seen(), p.sequences(), sets(p.length()));
    e.seen = p(bits_);
  }
  e.dropout = p.dropout(std::max(dropout_, 0.0f), site_);
  return e;
}

template <class T>
void ReleasedSetAttention<T>::forward(const Pass<T>& p, const AttentionShape& shape, T* out, const T* qkv) const {
  const AttentionExtras e = extras(p);
  const T *k = qkv + shape.heads * shape.key_width, *v = k + shape.heads * shape.key_width;
  attention_forward(plan_of(p.length()), shape, out, p(lse_), qkv, k, v, p(workspace_), AttentionPath::best, e);
  if (e.seen)
    padded_rows_forward(shape, out, v, e.seen, p(padded_), sets(p.length()).sets);
}

template <class T>
void ReleasedSetAttention<T>::backward(const Pass<T>& p, const AttentionShape& shape, T* dqkv, T* dout, const T* qkv,
                                       const T* out) const {
  const AttentionExtras e = extras(p);
  const T *k = qkv + shape.heads * shape.key_width, *v = k + shape.heads * shape.key_width;
  T *dk = dqkv + shape.heads * shape.key_width, *dv = dk + shape.heads * shape.key_width;
  const std::int64_t count = sets(p.length()).sets;
  if (e.seen)
    padded_rows_take(shape, dout, e.seen, p(padded_), count);
  attention_backward(plan_of(p.length()), shape, dqkv, dk, dv, static_cast<const T*>(dout), qkv, k, v, out,
                     static_cast<const float*>(p(lse_)), p(workspace_), AttentionPath::best, e);
  if (e.seen)
    padded_rows_give(shape, dv, p(padded_), count);
}

WEFT_FOR_STORAGE_TYPES(ReleasedSetAttention);

} // namespace weft
