// What all kinds of stream do with the gradient of a sum before a layer's backward pass gets it.
#pragma once
#include "kernels/residual/residual.hpp"
#include "kernels/sum/sum.hpp"
#include "model/layers/layer.hpp"

namespace weft {

/// The gradient of a branch that was added to the stream, from that of the sum (R, D), and of the bias that the branch
/// ends with. Returns dsum itself where there is no dropout, else `room` (R, D), overwritten. no_bias: D floats.
/// partial: workspace of column_sum_workspace(R, D) floats.
template <class T, class U>
const U* branch_gradient(const Pass<T>& p, const Layer<T>& layer, const U* dsum, const Dropout& dropout,
                         std::int64_t width, U* room, float* no_bias, float* partial) {
  const Weight bias = layer.end_bias();
  if (dropout.probability == 0.0f) {
    if (bias)
      column_sum(p.dw(bias), dsum, p.rows(), width, partial);
    return dsum;
  }
  residual_backward(room, bias ? p.dw(bias) : no_bias, dsum, dropout, {p.sequences(), p.length(), width}, partial);
  return room;
}

} // namespace weft
