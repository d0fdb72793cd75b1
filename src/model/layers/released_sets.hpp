// The engine in the sets that the Long Range Arena's released reshape makes of blocks
// (kernels/attention/released_sets.hpp):
//   out_i = softmax over j = i mod C of q_i . k_j / sqrt(E)
// over the slots of the sets, with the padding mask still cut into runs of b: a query whose entry of that mask is
// padding has uniform weights over its set (kernels/attention/padded_rows.hpp).
#pragma once
#include "kernels/attention/released_sets.hpp"
#include "model/attention_plans.hpp"
#include "model/pass.hpp"

namespace weft {

template <class T>
class ReleasedSetAttention {
 public:
  /// ReleasedSets::with_tail or without_tail.
  using Cut = ReleasedSets (*)(std::int64_t length, std::int64_t block);

  /// longest: q, k, v and out of the slots of the plan's longest micro-batch. dropout: of the weights, below 0 none.
  /// again: lse is made again in the backward pass. `plans` must outlive it.
  ReleasedSetAttention(Plan& plan, const std::string& name, Cut cut, std::int64_t block, const AttentionShape& longest,
                       float dropout, bool again, const AttentionPlans& plans);

  ReleasedSets sets(std::int64_t length) const { return cut_(length, block_); }

  /// Overwrites out; a row of qkv holds the queries, then the keys, then the values. shape: of the pass's slots.
  void forward(const Pass<T>& p, const AttentionShape& shape, T* out, const T* qkv) const;
  /// Overwrites dqkv, and the rows of padding in dout.
  void backward(const Pass<T>& p, const AttentionShape& shape, T* dqkv, T* dout, const T* qkv, const T* out) const;

 private:
  const AttentionPlan& plan_of(std::int64_t length) const;
  AttentionExtras extras(const Pass<T>& p) const; ///< key bits of the slots, made here, and dropout

  Cut cut_;
  std::int64_t block_;
  float dropout_;
  std::uint32_t site_ = 0;
  const AttentionPlans& plans_;
  Piece<float> lse_;          ///< (S, H, slots)
  Piece<std::uint32_t> bits_; ///< (S, ceil(slots / 32))
  Piece<float> workspace_, padded_;
};

} // namespace weft
