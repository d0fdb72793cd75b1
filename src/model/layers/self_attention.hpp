// Self-attention over the key sets of the engine (Child et al. 2019, section 5.2; Vaswani et al. 2017, section 3.2):
//   q | k | v = x W_qkv + b_qkv;   y = attention(q, k, v) W_out + b_out
#pragma once
#include "model/attention_plans.hpp"
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
class SelfAttention final : public Layer<T> {
 public:
  /// Tensors name + "attention.qkv.weight" and so on. `plans` must outlive the layer.
  SelfAttention(Plan& plan, const std::string& name, std::int64_t layer, const AttentionSetup& setup,
                const AttentionPlans& plans);
  void forward(const Pass<T>& p, T* y, const T* x) override;
  void again(const Pass<T>& p, const T* x) override;
  void backward(const Pass<T>& p, T* dx, const T* dy, const T* x) override;
  Weight end_bias() const override { return out_bias_; }
  std::unique_ptr<RowLayer<T>> rows(const RowSetup& setup) const override;

 private:
  AttentionShape shape(std::int64_t sequences, std::int64_t length) const;
  AttentionExtras extras(const Pass<T>& p) const;
  void attend(const Pass<T>& p, const T* x);

  std::int64_t D, H, E, Ev, layer_, longest_; ///< longest_: N of the plan
  float dropout_;
  std::uint32_t site_ = 0;
  bool padded_rows_;
  const AttentionPlans& plans_;
  bool again_;
  Weight qkv_weight_, qkv_bias_, out_weight_, out_bias_;
  Piece<T> qkv_, attended_; ///< (R, H (2E + Ev)), (R, H Ev)
  Piece<float> lse_;        ///< (S, H, N)
  Piece<T> dqkv_, dattended_;
  Piece<float> partial_, workspace_, padded_; ///< padded_: (S, H Ev)
};

} // namespace weft
