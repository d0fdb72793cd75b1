// The feed-forward layer for decoding.
#pragma once
#include "kernels/activation/activation.hpp"
#include "model/layers/rows.hpp"

namespace weft {

template <class T>
class FeedForwardRows final : public RowLayer<T> {
 public:
  FeedForwardRows(const RowSetup& setup, Weight in, Weight in_bias, Weight out, Weight out_bias, Activation activation)
      : samples_(setup.samples), activation_(activation), in_(setup.matrix<T>(in)), out_(setup.matrix<T>(out)),
        in_bias_(setup.at(in_bias)), out_bias_(setup.at(out_bias)), hidden_(samples_ * in_.outputs, "hidden") {}
  void forward(const Slot& /*slot*/, T* y, const T* x) override {
    if (activation_ == Activation::sigmoid_gelu) { // the product ends with it
      few_rows_forward(in_, samples_, hidden_.data(), x, in_bias_, RowsEnd::activation);
    } else {
      few_rows_forward(in_, samples_, hidden_.data(), x, in_bias_);
      activation_forward(hidden_.data(), hidden_.data(), hidden_.size(), activation_);
    }
    few_rows_forward(out_, samples_, y, hidden_.data(), out_bias_);
  }

 private:
  std::int64_t samples_;
  Activation activation_;
  StripMatrix<T> in_, out_;
  const float *in_bias_, *out_bias_;
  Buffer<T> hidden_;
};

} // namespace weft
