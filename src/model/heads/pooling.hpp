// From the rows of a sequence to the one vector that a classifier reads (kernels/pool).
#pragma once
#include "kernels/pool/attention_pool.hpp"
#include "model/pass.hpp"
#include <string>

namespace weft {

/// model.pooling
enum class PoolingKind {
  first,    ///< the first row: the CLS vector's where there is one
  last,     ///< the last row of a real position
  mean,     ///< over the rows of real positions
  mean_all, ///< over all rows, padding included
  attention ///< a learned weighting of the rows of real positions
};
PoolingKind pooling_kind(const std::string& word);

struct PoolingSetup {
  PoolingKind kind;
  std::int64_t width;      ///< D
  float divisor = 0;       ///< of the sum of PoolingKind::mean; 0: the number of real rows
  std::int64_t hidden = 0; ///< A, of attention pooling; 0: D
  bool uniform = false;    ///< its tensors begin within 1 / sqrt(inputs) of 0
};

template <class T>
class Pooling {
 public:
  /// Tensors of attention pooling: head.pool.weight (D, A), head.pool.bias (A), head.pool.vector (A).
  Pooling(Plan& plan, const PoolingSetup& setup);
  /// out (S, D) from x (S, N, D), overwritten.
  void forward(const Pass<T>& p, T* out, const T* x) const;
  /// dx (S, N, D), overwritten, from dout (S, D). Overwrites the gradients of its weights.
  void backward(const Pass<T>& p, T* dx, const T* dout, const T* x) const;

 private:
  PoolShape shape(const Pass<T>& p) const { return {p.sequences(), p.length(), D}; }

  PoolingKind kind_;
  std::int64_t D, A;
  float divisor_;
  Weight weight_, bias_, vector_;
  Piece<T> u_;                              ///< (R, A)
  Piece<float> scores_, weights_, dscores_; ///< (R)
  Piece<float> partial_;
};

} // namespace weft
