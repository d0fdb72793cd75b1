// The next token at every position: logits = x W_output (Child et al. 2019, section 5.2), or with a tied embedding
// logits = x E^T, E the token embedding (Press and Wolf 2017, arXiv:1608.05859), and a bias where the family has one.
#pragma once
#include "model/heads/predictions.hpp"
#include "model/layers/rows.hpp"

namespace weft {

struct LanguageSetup {
  std::int64_t width, vocabulary; ///< D, V
  Weight tied{};                  ///< the embedding's (V, D); none: tensor output.weight (D, V), which starts at zero
  bool bias = false;              ///< tensor output.bias (V), too
  std::int64_t chunks = 1;        ///< parts of the rows whose logits are made one after the other, and again in the
                                  ///< backward pass (Kitaev et al. 2020, section 3, chunking)
};

template <class T>
class LanguageHead {
 public:
  LanguageHead(Plan& plan, const LanguageSetup& setup);
  /// x (R, D): what the stream gives.
  void forward(const Pass<T>& p, const T* x) const;
  /// Returns the gradient by x; overwrites that of the weight, to which a tied embedding adds its own.
  T* backward(const Pass<T>& p, const T* x) const;
  const Predictions<T>& predictions() const { return predictions_; }

  /// The same for decoding: logits (samples, V).
  class Rows {
   public:
    Rows(const LanguageHead& head, const RowSetup& setup)
        : output_(head.tied_ ? setup.transposed<T>(head.output_) : setup.matrix<T>(head.output_)),
          bias_(head.bias_ ? setup.at(head.bias_) : nullptr), samples_(setup.samples),
          logits_(samples_ * head.V, "logits") {}
    const Buffer<float>& forward(const T* x) {
      few_rows_forward(output_, samples_, logits_.data(), x, bias_);
      return logits_;
    }

   private:
    StripMatrix<T> output_;
    const float* bias_;
    std::int64_t samples_;
    Buffer<float> logits_;
  };

 private:
  void logits(const Pass<T>& p, const T* x, std::int64_t rows) const;

  std::int64_t D, V;
  bool tied_;
  Weight output_, bias_;
  Predictions<T> predictions_;
  Piece<T> dx_;
  Piece<float> partial_, dbias_;
};

} // namespace weft
