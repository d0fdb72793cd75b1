// Longformer's attention (Beltagy, Peters and Cohan 2020, arXiv:2004.05150, section 3.1). Beside q, k, v there are
//   q' | k' | v' = x W' + b'
// Position i < global attends by them: attended_i = softmax over all real j of (q'_i . k'_j / sqrt(E)) v'_j. The others
// attend by q, k, v to their window and to the global positions. The released code of the Long Range Arena holds W' and
// no global position: its gradient is zero, and weight decay still acts on it.
#pragma once
#include "model/layers/self_attention.hpp"

namespace weft {

template <class T>
class Longformer final : public SelfAttention<T> {
 public:
  /// Tensors of SelfAttention, and name + "attention.global.weight", ".bias". global: such positions; 0: W' is idle.
  Longformer(Plan& plan, const std::string& name, std::int64_t layer, const AttentionSetup& setup,
             const AttentionPlans& plans, std::int64_t global);

 protected:
  void project(const Pass<T>& p, const T* x) override;
  void attend(const Pass<T>& p, T* attended, const T* qkv) override;
  void attend_backward(const Pass<T>& p, T* dqkv, T* dattended, const T* qkv, const T* attended) override;
  void project_backward(const Pass<T>& p, const T* x) override;
  void add_input_gradient(const Pass<T>& p, T* dx) override;

 private:
  using Base = SelfAttention<T>;
  using Base::D, Base::H, Base::E, Base::Ev;

  std::int64_t wide() const { return H * (2 * E + Ev); }

  std::int64_t global_;
  std::uint32_t site_ = 0;
  Weight weight_, bias_;
  Piece<T> qkv_, attended_, dqkv_, dx_; ///< of the global rows; dx_: their part of it
  Piece<float> lse_, workspace_, partial_;
};

} // namespace weft
