// Self-attention over the key sets of the engine (Child et al. 2019, section 5.2; Vaswani et al. 2017, section 3.2):
//   attended = softmax over the keys of each query (kernels/attention/attention.hpp)
#pragma once
#include "model/attention_plans.hpp"
#include "model/layers/projected_attention.hpp"

namespace weft {

template <class T>
class SelfAttention : public ProjectedAttention<T> {
 public:
  /// `plans` must outlive the layer.
  SelfAttention(Plan& plan, const std::string& name, std::int64_t layer, const AttentionSetup& setup,
                const AttentionPlans& plans)
      : SelfAttention(plan, name, layer, setup, plans, Base::OwnWeights::none) {}
  std::unique_ptr<RowLayer<T>> rows(const RowSetup& setup) const override;

 protected:
  using Base = ProjectedAttention<T>;
  using Base::D, Base::H, Base::E, Base::Ev;

  SelfAttention(Plan& plan, const std::string& name, std::int64_t layer, const AttentionSetup& setup,
                const AttentionPlans& plans, typename Base::OwnWeights own);
  void attend(const Pass<T>& p, T* attended, const T* qkv) override;
  void attend_backward(const Pass<T>& p, T* dqkv, T* dattended, const T* qkv, const T* attended) override;

  /// Which keys are real, and the dropout of the weights at this site.
  AttentionExtras extras(const Pass<T>& p, std::uint32_t site) const;

  const std::int64_t layer_, longest_; ///< longest_: N of the plan
  const float dropout_;
  const AttentionPlans& plans_;

 private:
  std::uint32_t site_ = 0;
  bool padded_rows_, padded_zero_;
  Piece<float> lse_;                ///< (S, H, N)
  Piece<float> workspace_, padded_; ///< padded_: (S, H Ev)
};

} // namespace weft
