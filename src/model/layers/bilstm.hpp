// A bidirectional LSTM layer (kernels/lstm): y_t = [h_t forwards, h_t backwards] of width 2h, over each sequence's true
// length. Two bias vectors, which are added to each other, as PyTorch's and cuDNN's layers have them.
#pragma once
#include "kernels/lstm/lstm.hpp"
#include "model/pass.hpp"
#include <string>

namespace weft {

/// The true lengths of a micro-batch's sequences, for all layers.
class SequenceLengths {
 public:
  explicit SequenceLengths(Plan& plan) : numbers_(plan.keep<std::int32_t>("lstm.lengths", 2 * plan.S, Finite::no)) {}
  /// Before the first layer's forward pass.
  template <class T>
  void find(const Pass<T>& p) const {
    std::int32_t* at = p(numbers_);
    lstm_sequences(at, at + p.sequences(), p.seen(), {p.sequences(), p.length(), 0});
  }
  template <class T>
  LstmSequences of(const Pass<T>& p) const {
    return {p(numbers_), p(numbers_) + p.sequences()};
  }

 private:
  Piece<std::int32_t> numbers_; ///< (2, S)
};

template <class T>
class BiLstm {
 public:
  /// Tensors name + "input.weight" (inputs, 8h), "input.bias" (8h), "state.weight" (2, h, 4h), "state.bias" (8h); all
  /// begin within 1 / sqrt(h) of 0.
  BiLstm(Plan& plan, const std::string& name, std::int64_t inputs, std::int64_t hidden);
  /// Overwrites what out() gives, (S, N, 2h), from x (S, N, inputs).
  void forward(const Pass<T>& p, const T* x, const SequenceLengths& lengths) const;
  /// Overwrites dx (S, N, inputs), which may be dy (S, N, 2h), and the gradients of the weights. Once only: the gates
  /// that forward() kept are overwritten.
  void backward(const Pass<T>& p, T* dx, const T* dy, const T* x, const SequenceLengths& lengths) const;
  T* out(const Pass<T>& p) const { return p(out_); }

 private:
  LstmShape shape(const Pass<T>& p) const { return {p.sequences(), p.length(), h}; }

  std::int64_t D, h;
  Weight input_weight_, input_bias_, state_weight_, state_bias_;
  Piece<T> gates_, out_;  ///< (R, 2, 4, h), (R, 2, h)
  Piece<float> cells_;    ///< (R, 2, h)
  Piece<T> before_, own_; ///< (R, h), (R, 4h)
  Piece<float> workspace_, partial_;
};

} // namespace weft
