// Local attention as the Long Range Arena's released code has it (models/local; attention.form = "lra"). It means
// blocks of b positions, and reshapes the sequence so that the positions of one residue become a block instead
// (kernels/attention/released_sets.hpp):
//   attended_i = softmax over j = i mod C of q_i . k_j / sqrt(E),   C = N div b + 1, N' = C b positions, zeros from N
//   on
// with the padding mask still cut into runs of b. A query whose entry of that mask is padding has uniform weights over
// its set (kernels/attention/padded_rows.hpp), and the zeros behind the sequence are keys like any others.
#pragma once
#include "model/layers/projected_attention.hpp"
#include "model/layers/released_sets.hpp"

namespace weft {

template <class T>
class ReleasedLocal final : public ProjectedAttention<T> {
  using Base = ProjectedAttention<T>;
  using Base::H, Base::E, Base::Ev;

 public:
  /// block: b. `plans` must outlive the layer.
  ReleasedLocal(Plan& plan, const std::string& name, const AttentionSetup& setup, std::int64_t block,
                const AttentionPlans& plans);

 private:
  void attend(const Pass<T>& p, T* attended, const T* qkv) override;
  void attend_backward(const Pass<T>& p, T* dqkv, T* dattended, const T* qkv, const T* attended) override;

  ReleasedSetAttention<T> sets_;
  Piece<T> rows_, drows_, out_, dout_; ///< of N' positions
};

} // namespace weft
