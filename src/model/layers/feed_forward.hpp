// The feed-forward layer (Vaswani et al. 2017, section 3.3; Child et al. 2019, section 5.2):
//   hidden = x W_in + b_in;   y = dropout(f(hidden)) W_out + b_out
#pragma once
#include "kernels/activation/activation.hpp"
#include "model/layers/layer.hpp"

namespace weft {

/// Sizes and initial numbers of one feed-forward layer.
struct FeedForwardSetup {
  std::int64_t width, hidden; ///< D, F
  Initial in{}, out{}, in_bias{}, out_bias{};
  Activation activation = Activation::sigmoid_gelu;
  float dropout = -1; ///< of f(hidden); below 0: the family has none
};

template <class T>
class FeedForward final : public Layer<T> {
 public:
  /// Tensors name + "feedforward.in.weight" and so on.
  FeedForward(Plan& plan, const std::string& name, const FeedForwardSetup& setup);
  void forward(const Pass<T>& p, T* y, const T* x) override;
  void again(const Pass<T>& p, const T* x) override;
  void backward(const Pass<T>& p, T* dx, const T* dy, const T* x) override;
  Weight end_bias() const override { return out_bias_; }
  std::unique_ptr<RowLayer<T>> rows(const RowSetup& setup) const override;

 private:
  std::int64_t D, F;
  Activation activation_;
  float dropout_;
  std::uint32_t site_ = 0;
  bool again_;
  Weight in_weight_, in_bias_, out_weight_, out_bias_;
  Piece<T> hidden_;         ///< (R, F) before the activation
  Piece<T> gate_, dhidden_; ///< (R, F) f(hidden); the gradient of hidden
  Piece<float> partial_;
};

} // namespace weft
