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
// With "bert" the encoder of BERT (Devlin et al. 2019, arXiv:1810.04805) and of its relatives with other patterns, as
// the transformers library has them (modeling_bert.py, modeling_longformer.py, modeling_big_bird.py): a norm of the
// embedding, norms behind the additions and none at the end, biases in attention, everything N(0, 0.02), the exact GELU
// (its tanh form with bigbird).
// With "gpt2" that of GPT-2 (Radford et al. 2019; modeling_gpt2.py): no position sees one behind it, norms in front and
// one at the end, biases in attention, N(0, 0.02), less by sqrt(2L) where a branch ends, GELU in its tanh form, and one
// map without a bias, by default of the last real row.
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
