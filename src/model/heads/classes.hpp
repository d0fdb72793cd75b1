// The class of a sequence, or of two: pooled rows, features of a pair, and a classifier of dense layers with an
// activation between them, ReLU in the arena (Tay et al. 2021, arXiv:2011.04006, appendix A, and the released code).
#pragma once
#include "kernels/activation/activation.hpp"
#include "kernels/pairs/pairs.hpp"
#include "model/heads/pooling.hpp"
#include "model/heads/predictions.hpp"
#include <optional>
#include <vector>

namespace weft {

/// How weights and biases begin.
enum class ClassStart {
  lecun,  ///< LeCun's numbers, biases 0
  torch,  ///< within 1 / sqrt(inputs) of 0, biases too
  xavier, ///< Xavier's uniform numbers, biases 0
  small,  ///< N(0, 0.02), biases 0
};

struct ClassSetup {
  std::int64_t width; ///< D
  PoolingKind pooling;
  std::optional<PairFeatures> pairs; ///< sequences are 2B documents, B first ones before B second ones
  std::vector<std::int64_t> hidden;  ///< widths of the layers before the last one
  std::int64_t classes;
  float divisor = 0; ///< of the mean over real rows; 0: their number
  ClassStart start = ClassStart::lecun;
  Activation activation = Activation::relu; ///< between the layers
  float dropout = -1;                       ///< in front of it; below 0: the family has none
  float wide_dropout = -1;        ///< of the pooled rows, and behind the activation; below 0: the family has none
  bool last_bias = true;          ///< of the logits
  std::int64_t pooling_width = 0; ///< A of attention pooling; 0: D
  float proximity = -1;           ///< of the loss (Predictions)
};

template <class T>
class ClassHead {
 public:
  /// Tensors head.mlp.weight, head.mlp.bias, head.mlp2..., and head.logits.weight, head.logits.bias, behind the
  /// pooling's.
  ClassHead(Plan& plan, const ClassSetup& setup);
  /// x (S, N, D): the stream behind its last norm.
  void forward(const Pass<T>& p, const T* x) const;
  /// Returns the gradient by x; overwrites those of the weights.
  T* backward(const Pass<T>& p, const T* x) const;
  const Predictions<T>& predictions() const { return predictions_; }

 private:
  struct Dense {
    Weight weight, bias;
    std::int64_t inputs, outputs;
    Piece<T> input;              ///< (P, inputs)
    Piece<T> u;                  ///< (P, outputs) before the activation; the last layer has the logits instead
    std::uint32_t site = 0;      ///< of the dropout in front of its activation
    std::uint32_t wide_site = 0; ///< and of that of its input
  };
  /// x = dropout(x) in place, rows (rows, width); the gradient by x is the same function of that by the result.
  void drop(const Pass<T>& p, T* x, float probability, std::uint32_t site, std::int64_t rows, std::int64_t width) const;
  LinearShape shape(const Dense& d) const { return {predictions_.P, d.inputs, d.outputs}; }

  std::int64_t D;
  Pooling<T> pooling_;
  Activation activation_;
  float dropout_, wide_dropout_;
  std::optional<PairFeatures> pairs_;
  Piece<T> pooled_, dpooled_, dx_; ///< (S, D), (S, D), (R, D)
  Piece<T> dwide_[2];              ///< (P, the widest): gradients of the layers' inputs in turn
  std::vector<Dense> layers_;
  Predictions<T> predictions_;
  Piece<float> partial_;
};

} // namespace weft
