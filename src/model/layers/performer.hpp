// The Performer's attention (Choromanski et al. 2021, arXiv:2009.14794): the softmax of q . k / sqrt(E) by positive
// random features phi (kernels/linear_attention/random_features.hpp),
//   attended_i = sum over j of (phi(q_i) . phi(k_j)) v_j / sum over j of phi(q_i) . phi(k_j)
// All heads of a layer share a draw, as in the authors' code; every so many steps there is a new one.
#pragma once
#include "kernels/linear_attention/random_features.hpp"
#include "model/layers/projected_attention.hpp"

namespace weft {

struct PerformerSetup {
  std::int64_t features;     ///< M; 0: default_features(E)
  float epsilon;             ///< added to every feature
  std::int64_t redraw_steps; ///< 0: one draw for ever
  bool causal;
  bool padding_is_seen = false; ///< padded positions are keys like any other (the Long Range Arena's code)
};

template <class T>
class Performer final : public ProjectedAttention<T> {
  using Base = ProjectedAttention<T>;
  using Base::H, Base::E, Base::Ev;

 public:
  Performer(Plan& plan, const std::string& name, std::int64_t layer, const AttentionSetup& setup,
            const PerformerSetup& performer);

 private:
  void attend(const Pass<T>& p, T* attended, const T* qkv) override;
  void attend_backward(const Pass<T>& p, T* dqkv, T* dattended, const T* qkv, const T* attended) override;

  LinearAttention call(const AttentionShape& shape) const;
  FeaturesOf keys() const { return setup_.causal ? FeaturesOf::causal_keys : FeaturesOf::keys; }
  const std::uint32_t* seen(const Pass<T>& p) const { return setup_.padding_is_seen ? nullptr : p.seen(); }
  void make_features(const Pass<T>& p, const LinearAttention& of, const T* qkv);

  PerformerSetup setup_;
  std::uint32_t layer_;
  RandomFeatures features_;
  Piece<float> denominators_;        ///< (S, H, N)
  Piece<float> omega_, of_q_, of_k_; ///< the draw, and the features of this layer's queries and keys
  Piece<float> workspace_, largest_;
  Piece<double> draw_;
};

} // namespace weft
