// The encoder of the Long Range Arena (Tay et al. 2021, arXiv:2011.04006; the released code, models/transformer):
//   H_0 = dropout(token + position), with a learned CLS vector in front where the classifier reads that
//   H'  = H + dropout(attention(norm1(H)));   H'' = H' + dropout(feedforward(norm2(H')))
//   logits = classifier(pool(norm(H_L)))
// Attention has no biases; the feed-forward layer is dense, GELU (tanh form), dropout, dense. Weight decay acts on
// every tensor there (optimizer.decay).
// With model.code = "nystromformer" the encoder of Xiong et al. 2021 (arXiv:2102.03902, released code,
// LRA/code/model.py): biases in attention, the exact GELU, torch's epsilon of norms and initial numbers of dense
// layers, token vectors N(0, 0.02), and a mean that divides the sum of the real rows by the length that its code pads
// to.
#pragma once
#include "model/families/chain.hpp"
#include "model/heads/classes.hpp"

namespace weft {

template <class T>
class ArenaEncoder final : public Chain<T, ClassHead<T>> {
 public:
  /// Throws InputError for a released form that is not there.
  explicit ArenaEncoder(const Config& config);
  /// Not where padded rows count, or a key set depends on the length.
  bool variable_length() const override { return variable_; }
  std::unique_ptr<Decoder> decoder(const float* weights, std::int64_t samples, std::int64_t length) const override;

 private:
  bool variable_;
};

} // namespace weft
