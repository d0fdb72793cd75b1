// What a stage of any kind of stream adds to it, and the gradient of that before the layer's backward pass gets it.
#pragma once
#include "kernels/residual/residual.hpp"
#include "kernels/sum/sum.hpp"
#include "model/layers/layer.hpp"
#include <memory>

namespace weft {

/// A layer whose output is added with dropout, unless the layer has its dropout inside.
template <class T>
struct Branch {
  std::unique_ptr<Layer<T>> layer;
  std::uint32_t site;
  float probability;

  Branch(Plan& plan, std::unique_ptr<Layer<T>> of, float dropout)
      : layer(std::move(of)), site(plan.dropout_site()), probability(layer->drops_itself() ? 0.0f : dropout) {}
  Dropout dropout(const Pass<T>& p) const { return p.dropout(probability, site); }
};

/// Room within one call: the branch's output or gradient, the stream's gradient, and what branch_gradient wants.
template <class T>
struct BranchRoom {
  Piece<T> branch, dstream;
  Piece<float> partial, no_bias;

  BranchRoom(Plan& plan, std::int64_t width)
      : branch(plan.scratch<T>("branch", plan.R * width)), dstream(plan.scratch<T>("dstream", plan.R * width)),
        partial(plan.scratch<float>("partial", column_sum_workspace(plan.R, width))),
        no_bias(plan.scratch<float>("no bias", width)) {}
};

/// The gradient of a branch that was added to the stream, from that of the sum (R, D), and of the bias that the branch
/// ends with. Returns dsum itself where there is no dropout, else `room` (R, D), overwritten. no_bias: D floats.
/// partial: workspace of column_sum_workspace(R, D) floats.
template <class T, class U>
const U* branch_gradient(const Pass<T>& p, const Branch<T>& branch, const U* dsum, std::int64_t width, U* room,
                         float* no_bias, float* partial) {
  const Weight bias = branch.layer->end_bias();
  const Dropout dropout = branch.dropout(p);
  if (dropout.probability == 0.0f) {
    if (bias)
      column_sum(p.dw(bias), dsum, p.rows(), width, partial);
    return dsum;
  }
  residual_backward(room, bias ? p.dw(bias) : no_bias, dsum, dropout, {p.sequences(), p.length(), width}, partial);
  return room;
}

} // namespace weft
