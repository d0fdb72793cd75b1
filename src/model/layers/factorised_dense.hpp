// The Synthesizer's factorised dense scores (Tay et al. 2021, arXiv:2005.00743, section 3.1),
//   attended = softmax(A + [dot product] Q K' / sqrt(E)) V,   A_ij = alpha_i[j mod a] beta_i[j div a]
//   alpha_i = W_a' relu(W1' x_i + b1) + c_a: a numbers,   beta_i likewise with maps of its own: ceil(N / a) numbers
// with a as near to sqrt(N) as kernels/synthesizer/factored_scores.hpp has it. A shorter sequence takes the first ones
// of beta.
#pragma once
#include "kernels/attention/attention.hpp"
#include "kernels/synthesizer/factored_scores.hpp"
#include "model/attention_plans.hpp"
#include "model/layers/projected_attention.hpp"
#include "model/layers/synthesizer.hpp"

namespace weft {

template <class T>
class FactorisedDense final : public ProjectedAttention<T> {
 public:
  /// `plans` must outlive the layer. Behind the values, qkv holds the hidden numbers of alpha, then those of beta.
  FactorisedDense(Plan& plan, const std::string& name, const AttentionSetup& setup, const SynthesizerSetup& synthesizer,
                  bool causal, const AttentionPlans& plans);

 protected:
  void attend(const Pass<T>& p, T* attended, const T* qkv) override;
  void attend_backward(const Pass<T>& p, T* dqkv, T* dattended, const T* qkv, const T* attended) override;

 private:
  using Base = ProjectedAttention<T>;
  using Base::H, Base::E, Base::Ev;

  /// One of the two rows of numbers that a token makes: its tensors, and where its hidden numbers begin.
  struct Factor {
    std::int64_t numbers, hidden_begin, bias_begin;
    Weight matrix, constant;       ///< [H, d, numbers], [H, numbers]
    Piece<float> values, gradient; ///< (R, H, numbers)
  };
  Factor factor(Plan& plan, const std::string& name, std::int64_t numbers, std::int64_t which);
  void make_factors(const Pass<T>& p, const T* qkv) const;
  FactorShape factor_shape(const Pass<T>& p, const Factor& factor) const;
  FactoredShape factored_shape(std::int64_t sequences, std::int64_t length) const;
  /// Of a block: what attention is called with.
  const AttentionPlan& plan_of(const FactoredShape& shape, std::int64_t block) const;
  AttentionShape attention_shape(const FactoredShape& shape, std::int64_t block) const;
  AttentionExtras extras(const Pass<T>& p, const FactoredShape& shape, std::int64_t block) const;
  /// Writes its queries and keys.
  void lay_out(const Pass<T>& p, const FactoredShape& shape, std::int64_t block, const T* qkv) const;

  std::int64_t longest_, hidden_, inner_, outer_; ///< N of the plan, d, a, ceil(N / a)
  bool causal_;
  float dropout_;
  std::vector<std::uint32_t> sites_; ///< one for each block
  const AttentionPlans& plans_;
  Weight hidden_bias_; ///< [2, H, d]
  Factor alpha_, beta_;
  Piece<T> queries_, dqueries_, keys_, dkeys_, block_out_;
  Piece<float> lse_, block_lse_, sum_, dq_, workspace_;
  Piece<std::uint32_t> bits_;
};

} // namespace weft
