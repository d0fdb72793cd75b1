// Sinkhorn attention as the Long Range Arena's released code has it (models/sinkhorn_transformer; attention.form =
// "lra"): no Sinkhorn step, and sorted blocks that are all the plain sum of the blocks, whatever the sort net says,
//   attended = softmax over the query's set + softmax over the sums of all sets
// in the sets of kernels/attention/released_sets.hpp without a tail (so b divides N); the second term is
// kernels/sinkhorn/summed.hpp. The sort net is a tensor that nothing reads: its gradient is zero.
#pragma once
#include "kernels/sinkhorn/summed.hpp"
#include "model/layers/projected_attention.hpp"
#include "model/layers/released_sets.hpp"

namespace weft {

template <class T>
class ReleasedSinkhorn final : public ProjectedAttention<T> {
  using Base = ProjectedAttention<T>;
  using Base::H, Base::E, Base::Ev;

 public:
  /// Tensor name + "attention.sort.weight" (E, 25) behind those of the maps. block: b. `plans` must outlive the layer.
  ReleasedSinkhorn(Plan& plan, const std::string& name, const AttentionSetup& setup, std::int64_t block,
                   const AttentionPlans& plans);

 private:
  void attend(const Pass<T>& p, T* attended, const T* qkv) override;
  void attend_backward(const Pass<T>& p, T* dqkv, T* dattended, const T* qkv, const T* attended) override;

  SummedShape summed(std::int64_t sequences, std::int64_t length) const;
  Dropout sum_dropout(const Pass<T>& p) const;
  /// Which slots see each other in the second term, made here; null: all.
  const std::uint32_t* pairs(const Pass<T>& p) const;

  std::int64_t block_;
  float dropout_;
  Weight sort_weight_;
  ReleasedSetAttention<T> sets_; ///< the first term
  std::uint32_t sum_site_ = 0;
  Piece<T> local_, dlocal_;    ///< (R, H Ev): the first term
  Piece<std::uint32_t> pairs_; ///< (S, b, ceil(b / 32))
  Piece<float> sums_, weights_;
};

} // namespace weft
