// Classifiers of linear recurrences: linear recurrent units (Orvieto et al. 2023, arXiv:2303.06349, section 2 and
// appendix C) and diagonal state space models (Gu et al. 2022, arXiv:2206.11893); docs/lru.md:
//   H_0 = dropout(token),   no positions: the states tell them
//   H_l = H_{l-1} + dropout(recurrent(norm(H_{l-1}))),   a last norm; or norms behind the additions
//   logits = mean(H_L) W + b
#pragma once
#include "model/heads/classes.hpp"
#include "model/layers/embedding.hpp"
#include "model/program.hpp"
#include "model/stream/stream.hpp"

namespace weft {

template <class T>
class RecurrentClassifier final : public Program<T> {
 public:
  explicit RecurrentClassifier(const Config& config);
  bool variable_length() const override { return true; }
  std::unique_ptr<Decoder> decoder(const float* weights, std::int64_t samples, std::int64_t length) const override;

 private:
  using Program<T>::plan_;

  void run_forward(const Pass<T>& p) override;
  void run_backward(const Pass<T>& p) override;
  const Predictions<T>& predictions() const override { return head_.predictions(); }
  std::unique_ptr<Stream<T>> blocks(const Config& config);

  std::string family_;
  Embedding<T> embedding_;
  std::unique_ptr<Stream<T>> stream_;
  ClassHead<T> head_;
};

} // namespace weft
