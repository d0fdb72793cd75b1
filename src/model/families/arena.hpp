// The encoder of the Long Range Arena (Tay et al. 2021, arXiv:2011.04006; the released code, models/transformer):
//   H_0 = dropout(token + position), with a learned CLS vector in front where the classifier reads that
//   H'  = H + dropout(attention(norm1(H)));   H'' = H' + dropout(feedforward(norm2(H')))
//   logits = classifier(pool(norm(H_L)))
// Attention has no biases; the feed-forward layer is dense, GELU (tanh form), dropout, dense. Weight decay acts on
// every tensor there (optimizer.decay).
#pragma once
#include "model/attention_plans.hpp"
#include "model/heads/classes.hpp"
#include "model/layers/embedding.hpp"
#include "model/program.hpp"
#include "model/stream/pre_norm.hpp"

namespace weft {

template <class T>
class ArenaEncoder final : public Program<T> {
 public:
  explicit ArenaEncoder(const Config& config);
  /// Not where padded rows count.
  bool variable_length() const override { return variable_; }
  std::unique_ptr<Decoder> decoder(const float* weights, std::int64_t samples, std::int64_t length) const override;

 protected:
  void run_forward(const Pass<T>& p) override;
  void run_backward(const Pass<T>& p) override;
  const Predictions<T>& predictions() const override { return head_.predictions(); }

 private:
  using Program<T>::plan_;
  bool variable_;
  AttentionPlans patterns_;
  Embedding<T> embedding_;
  PreNorm<T> stream_;
  ClassHead<T> head_;
};

} // namespace weft
