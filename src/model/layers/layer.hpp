// A layer: y = f(x) on rows of width D, with its backward pass, and the same f for a few rows at one position, as
// decoding needs it.
#pragma once
#include "model/pass.hpp"
#include <memory>

namespace weft {

template <class T>
class RowLayer;
struct RowSetup;

template <class T>
class Layer {
 public:
  virtual ~Layer() = default;

  /// y = f(x), both (S, N, D). Overwrites y and what the backward pass wants of this layer.
  virtual void forward(const Pass<T>& p, T* y, const T* x) = 0;
  /// The same once more, for a backward pass that makes x again and wants y too: x may differ in its last bits, and
  /// what followed from it in steps (hash buckets) stays as it was.
  virtual void forward_again(const Pass<T>& p, T* y, const T* x) { forward(p, y, x); }
  /// Fills again, from x, what was planned `remade` for Recompute::attention, or in its last stage's case
  /// Recompute::block, without y.
  virtual void again(const Pass<T>& /*p*/, const T* /*x*/) {}
  /// dx = gradient by x, overwritten; dx may be dy. Overwrites the gradients of its weights but that of end_bias().
  virtual void backward(const Pass<T>& p, T* dx, const T* dy, const T* x) = 0;

  /// The same two in a stream with norms in front: x is the norm of the rows `stream` that y is added to. Only a gate
  /// that weighs its rows against the stream's reads those; its gradient by them is added to dstream, which may be dy.
  virtual void forward_beside(const Pass<T>& p, T* y, const T* x, const T* /*stream*/) { forward(p, y, x); }
  virtual void backward_beside(const Pass<T>& p, T* dx, const T* dy, const T* x, const T* /*stream*/, T* /*dstream*/) {
    backward(p, dx, dy, x);
  }

  /// The bias that y ends with, if there is one: its gradient, the column sums of dy, is made by the residual's own
  /// pass over dy.
  virtual Weight end_bias() const { return {}; }

  /// Whether the layer has its dropout inside: the stream then adds y as it is.
  virtual bool drops_itself() const { return false; }

  /// The same layer for decoding. Throws InputError where the layer is not a function of the positions before.
  virtual std::unique_ptr<RowLayer<T>> rows(const RowSetup& setup) const = 0;
};

} // namespace weft
