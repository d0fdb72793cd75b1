// The next token at every position: logits = x W_output (Child et al. 2019, section 5.2).
#pragma once
#include "model/heads/predictions.hpp"
#include "model/layers/rows.hpp"

namespace weft {

template <class T>
class LanguageHead {
 public:
  /// Tensor output.weight (D, V), which starts at zero.
  LanguageHead(Plan& plan, std::int64_t width, std::int64_t vocabulary);
  /// x (R, D): the stream behind its last norm.
  void forward(const Pass<T>& p, const T* x) const;
  /// Returns the gradient by x; overwrites that of the weight.
  T* backward(const Pass<T>& p, const T* x) const;
  const Predictions<T>& predictions() const { return predictions_; }

  /// The same for decoding: logits (samples, V).
  class Rows {
   public:
    Rows(const LanguageHead& head, const RowSetup& setup)
        : output_(setup.matrix<T>(head.output_)), samples_(setup.samples), logits_(samples_ * head.V, "logits") {}
    const Buffer<float>& forward(const T* x) {
      few_rows_forward(output_, samples_, logits_.data(), x, nullptr);
      return logits_;
    }

   private:
    StripMatrix<T> output_;
    std::int64_t samples_;
    Buffer<float> logits_;
  };

 private:
  std::int64_t D, V;
  Weight output_;
  Predictions<T> predictions_;
  Piece<T> dx_;
};

} // namespace weft
