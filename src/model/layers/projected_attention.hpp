// What all attention layers have in common (Vaswani et al. 2017, section 3.2.2): the maps in front and behind,
//   q | k | v = x W_qkv + b_qkv;   y = attend(q, k, v) W_out + b_out
// A mechanism derives from it and says what lies between.
#pragma once
#include "kernels/attention/tiles.hpp"
#include "model/layers/layer.hpp"

namespace weft {

/// Sizes and initial numbers of one layer's attention.
struct AttentionSetup {
  std::int64_t width, heads, key_width, value_width; ///< D, H, E, Ev
  Initial qkv{}, out{};
  bool biases = true;
  float dropout = -1;       ///< of the attention weights; below 0: the family has none
  bool padded_rows = false; ///< padded queries see every position alike (kernels/attention/padded_rows.hpp)
};

template <class T>
class ProjectedAttention : public Layer<T> {
 public:
  void forward(const Pass<T>& p, T* y, const T* x) final;
  void again(const Pass<T>& p, const T* x) final;
  void backward(const Pass<T>& p, T* dx, const T* dy, const T* x) final;
  Weight end_bias() const final { return out_bias_; }

 protected:
  enum class OwnWeights { none, some }; ///< whether the mechanism plans tensors, which come behind those of the maps

  /// Tensors name + "attention.qkv.weight" and so on.
  ProjectedAttention(Plan& plan, const std::string& name, const AttentionSetup& setup, OwnWeights own);

  /// For a mechanism that reads the layer's input beside q, k and v: in front of attend, and again where that is; and
  /// behind attend_backward, to add to dx what it gives the input.
  virtual void look(const Pass<T>& /*p*/, const T* /*x*/) {}
  virtual void look_backward(const Pass<T>& /*p*/, T* /*dx*/) {}
  /// attended (R, H Ev) from qkv (R, H (2E + Ev)): a row holds the H queries, then the keys, then the values.
  /// Overwrites attended and what attend_backward wants; called again in the backward pass where again_.
  virtual void attend(const Pass<T>& p, T* attended, const T* qkv) = 0;
  /// dqkv, and the gradients of tensors of its own, from dattended. Overwrites all of dqkv; may write to dattended.
  virtual void attend_backward(const Pass<T>& p, T* dqkv, T* dattended, const T* qkv, const T* attended) = 0;

  /// q, k, v and out as they lie in a row.
  AttentionShape shape(std::int64_t sequences, std::int64_t length) const;

  const std::int64_t D, H, E, Ev;
  const bool again_; ///< what attend keeps is made again in the backward pass
  Weight qkv_weight_, qkv_bias_, out_weight_, out_bias_;

 private:
  std::int64_t wide() const { return H * (2 * E + Ev); }

  OwnWeights own_;
  Piece<T> qkv_, attended_, dqkv_, dattended_;
  Piece<float> partial_;
};

} // namespace weft
