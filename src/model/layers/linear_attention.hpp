// Attention whose weights are products of features, so that the sums over keys go first: time and memory are linear in
// N (kernels/linear_attention/linear_attention.hpp).
//   attended_i = sum over j of (phi(q_i) . phi(k_j)) v_j / (guard + sum over j of phi(q_i) . phi(k_j))
// The Linear Transformer (Katharopoulos et al. 2020, arXiv:2006.16236): phi = elu + 1, guard 1e-6.
// The Performer's generalised kernel (Choromanski et al. 2021, arXiv:2009.14794, as the Long Range Arena's code has
// it): phi = relu + 0.001 of queries and keys as they are, guard 0.
#pragma once
#include "kernels/linear_attention/linear_attention.hpp"
#include "model/layers/projected_attention.hpp"

namespace weft {

struct LinearSetup {
  FeatureMap map;
  float guard, floor; ///< as in LinearAttention
  bool causal;
  bool padding_is_seen = false; ///< padded positions are keys like any other (the Long Range Arena's code)
};

template <class T>
class LinearAttentionLayer final : public ProjectedAttention<T> {
  using Base = ProjectedAttention<T>;
  using Base::H, Base::E, Base::Ev;

 public:
  LinearAttentionLayer(Plan& plan, const std::string& name, const AttentionSetup& setup, const LinearSetup& linear);
  std::unique_ptr<RowLayer<T>> rows(const RowSetup& setup) const override;

 private:
  void attend(const Pass<T>& p, T* attended, const T* qkv) override;
  void attend_backward(const Pass<T>& p, T* dqkv, T* dattended, const T* qkv, const T* attended) override;

  LinearAttention call(const Pass<T>& p) const;

  LinearSetup setup_;
  Piece<float> denominators_; ///< (S, H, N)
  Piece<float> workspace_;
};

} // namespace weft
