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
  Initial qkv_bias{}, out_bias{}; ///< where there are biases
  float dropout = -1;             ///< of the attention weights; below 0: the family has none
  bool padded_rows = false;       ///< padded queries see every position alike (kernels/attention/padded_rows.hpp)
  bool padded_zero = false;       ///< padded queries give zeros (the same)
};

template <class T>
class ProjectedAttention : public Layer<T> {
 public:
  void forward(const Pass<T>& p, T* y, const T* x) final;
  void again(const Pass<T>& p, const T* x) final;
  void backward(const Pass<T>& p, T* dx, const T* dy, const T* x) final;
  Weight end_bias() const final { return out_bias_; }
  std::unique_ptr<RowLayer<T>> rows(const RowSetup& setup) const override;

 protected:
  enum class OwnWeights { none, some }; ///< whether the mechanism plans tensors, which come behind those of the maps

  static constexpr const char* has_rows = ""; ///< for `unsampled`: it has a rows() of its own

  /// Tensors name + "attention.qkv.weight" and so on. unsampled: why the mechanism cannot be sampled from, which rows()
  /// throws. own_columns: columns behind the values that the mechanism makes its own use of. Where E is 0 there are no
  /// queries and keys.
  ProjectedAttention(Plan& plan, const std::string& name, const AttentionSetup& setup, OwnWeights own,
                     const char* unsampled, std::int64_t own_columns = 0);

  /// attended (R, H Ev) from qkv (R, H (2E + Ev)): a row holds the H queries, then the keys, then the values, then
  /// columns of the mechanism's own.
  /// Overwrites attended and what attend_backward wants; called again in the backward pass where again_.
  virtual void attend(const Pass<T>& p, T* attended, const T* qkv) = 0;
  /// dqkv, and the gradients of tensors of its own, from dattended. Overwrites all of dqkv; may write to dattended.
  virtual void attend_backward(const Pass<T>& p, T* dqkv, T* dattended, const T* qkv, const T* attended) = 0;

  /// For a mechanism with projections of its own: called in front of attend, with what it projects.
  virtual void project(const Pass<T>& /*p*/, const T* /*x*/) {}
  /// Called behind attend_backward: the gradients of their weights, and their part of dx, which is added to it.
  virtual void project_backward(const Pass<T>& /*p*/, const T* /*x*/) {}
  virtual void add_input_gradient(const Pass<T>& /*p*/, T* /*dx*/) {}

  /// q, k, v and out as they lie in a row.
  AttentionShape shape(std::int64_t sequences, std::int64_t length) const;

  std::int64_t wide() const { return H * (2 * E + Ev) + own_columns_; } ///< numbers of a row of qkv

  const std::int64_t D, H, E, Ev;
  const bool again_; ///< what attend keeps is made again in the backward pass
  Weight qkv_weight_, qkv_bias_, out_weight_, out_bias_;

 private:
  const char* unsampled_;
  std::int64_t own_columns_;
  OwnWeights own_;
  Piece<T> qkv_, attended_, dqkv_, dattended_;
  Piece<float> partial_;
};

} // namespace weft
