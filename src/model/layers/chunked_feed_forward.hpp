// The feed-forward layer for parts of the rows, one after the other (Kitaev, Kaiser, Levskaya 2020, arXiv:2001.04451,
// section 3, chunking): the same function, with hidden rows for one part only, which the backward pass makes again.
//   hidden = x W_in + b_in;   y = f(hidden) W_out + b_out
#pragma once
#include "model/layers/feed_forward.hpp"

namespace weft {

template <class T>
class ChunkedFeedForward final : public Layer<T> {
 public:
  /// Tensors as those of FeedForward. chunks: parts; setup.dropout must be below 0.
  ChunkedFeedForward(Plan& plan, const std::string& name, const FeedForwardSetup& setup, std::int64_t chunks);
  void forward(const Pass<T>& p, T* y, const T* x) override;
  void backward(const Pass<T>& p, T* dx, const T* dy, const T* x) override;
  Weight end_bias() const override { return out_bias_; }
  std::unique_ptr<RowLayer<T>> rows(const RowSetup& setup) const override;

 private:
  std::int64_t D, F, chunks_;
  Activation activation_;
  Weight in_weight_, in_bias_, out_weight_, out_bias_;
  Piece<T> hidden_, gate_, dhidden_; ///< (R / chunks, F)
  Piece<float> partial_, dbias_;
};

} // namespace weft
