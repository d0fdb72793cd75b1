// The Sparse Transformer (Child, Gray, Radford, Sutskever 2019, arXiv:1904.10509, section 5):
//   H_0 = embedding(x);   a = dropout(attention(norm1(H)));   b = dropout(feedforward(norm2(H + a)));   H' = H + a + b
//   logits = norm(H_L) W_output
#pragma once
#include "model/attention_plans.hpp"
#include "model/heads/language.hpp"
#include "model/layers/embedding.hpp"
#include "model/program.hpp"
#include "model/stream/pre_norm.hpp"

namespace weft {

template <class T>
class SparseTransformer final : public Program<T> {
 public:
  explicit SparseTransformer(const Config& config);
  std::unique_ptr<Decoder> decoder(const float* weights, std::int64_t samples, std::int64_t length) const override;

 protected:
  void run_forward(const Pass<T>& p) override;
  void run_backward(const Pass<T>& p) override;
  const Predictions<T>& predictions() const override { return head_.predictions(); }

 private:
  using Program<T>::plan_;
  Config config_;
  AttentionPlans patterns_;
  Embedding<T> embedding_;
  PreNorm<T> stream_;
  LanguageHead<T> head_;
};

} // namespace weft
