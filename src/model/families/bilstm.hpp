// A bidirectional LSTM classifier with attention pooling (docs/bilstm.md):
//   H_0 = dropout(token);   H_l = LSTM(dropout(H_{l-1})), both directions side by side, over the true length
//   e_t = v . tanh(W H_t + b),   alpha = softmax of e over the true length,   logits = (sum of alpha_t H_t) W' + b'
#pragma once
#include "model/heads/classes.hpp"
#include "model/layers/bilstm.hpp"
#include "model/layers/embedding.hpp"
#include "model/program.hpp"

namespace weft {

template <class T>
class BiLstmClassifier final : public Program<T> {
 public:
  explicit BiLstmClassifier(const Config& config);
  bool variable_length() const override { return true; }
  std::unique_ptr<Decoder> decoder(const float* weights, std::int64_t samples, std::int64_t length) const override;

 private:
  using Program<T>::plan_;
  /// A layer, and its input where dropout lies in front of it.
  struct Stage {
    BiLstm<T> layer;
    Piece<T> dropped; ///< (R, 2h); none: it reads the layer below
    std::uint32_t site;
  };

  void run_forward(const Pass<T>& p) override;
  void run_backward(const Pass<T>& p) override;
  const Predictions<T>& predictions() const override { return head_.predictions(); }
  std::vector<Stage> stages(const Config& config);
  Dropout dropout(const Pass<T>& p, const Stage& stage) const { return p.dropout(between_, stage.site); }
  /// What layer l reads.
  const T* input(const Pass<T>& p, std::size_t l) const;

  std::int64_t D, width_; ///< of token vectors; 2h
  float between_;         ///< dropout between two layers
  Embedding<T> embedding_;
  Piece<T> embedded_; ///< (R, D)
  SequenceLengths lengths_;
  std::vector<Stage> stages_;
  ClassHead<T> head_;
};

} // namespace weft
