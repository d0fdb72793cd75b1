#include "model/layers/bilstm.hpp"
#include "kernels/sum/sum.hpp"
#include "model/storage.hpp"
#include <cmath>

namespace weft {

template <class T>
BiLstm<T>::BiLstm(Plan& plan, const std::string& name, std::int64_t inputs, std::int64_t hidden)
    : D(inputs), h(hidden) {
  const Initial uniform{Initialiser::uniform, 1 / std::sqrt(static_cast<double>(h))};
  input_weight_ = plan.weight(name + "input.weight", {D, 8 * h}, uniform);
  input_bias_ = plan.weight(name + "input.bias", {8 * h}, uniform);
  state_weight_ = plan.weight(name + "state.weight", {2, h, 4 * h}, uniform);
  state_bias_ = plan.weight(name + "state.bias", {8 * h}, uniform);
  gates_ = plan.keep<T>(name + "gates", plan.R * 8 * h, Finite::no); // gradients lie there afterwards
  cells_ = plan.keep<float>(name + "cells", plan.R * 2 * h);
  out_ = plan.keep<T>(name + "out", plan.R * 2 * h);
  before_ = plan.scratch<T>("lstm.before", plan.R * h);
  own_ = plan.scratch<T>("lstm.own", plan.R * 4 * h);
  workspace_ = plan.scratch<float>("lstm", lstm_workspace({plan.S, plan.N, h}));
  partial_ = plan.scratch<float>("partial", column_sum_workspace(plan.R, 8 * h));
  plan.product({plan.R, D, 8 * h});
  // Of the recurrent matrix: one product by steps forward, one backward, and its gradient from all steps at once.
  const double work = lstm_work({plan.S, plan.N, h});
  plan.attention(work, work);
  plan.weight_product({plan.R, h, 4 * h}, 2);
}

template <class T>
void BiLstm<T>::forward(const Pass<T>& p, const T* x, const SequenceLengths& lengths) const {
  linear_forward(p.linear(D, 8 * h), p(gates_), x, p.low(input_weight_), p.w(input_bias_));
  lstm_forward(shape(p), p(out_), p(gates_), p(cells_), p.w(state_weight_), p.w(state_bias_), lengths.of(p),
               p(workspace_));
}

template <class T>
void BiLstm<T>::backward(const Pass<T>& p, T* dx, const T* dy, const T* x, const SequenceLengths& lengths) const {
  T* dgates = p(gates_);
  lstm_backward(shape(p), dgates, dy, p(cells_), p.w(state_weight_), lengths.of(p), p(workspace_));
  for (const Weight bias : {input_bias_, state_bias_})
    column_sum(p.dw(bias), dgates, p.rows(), 8 * h, p(partial_));
  for (int direction = 0; direction < 2; ++direction) {
    lstm_state_operands(shape(p), direction, p(before_), p(own_), p(out_), dgates, lengths.of(p));
    linear_backward_weight(p.linear(h, 4 * h), p.dw(state_weight_) + direction * 4 * h * h, p(before_), p(own_));
  }
  linear_backward_weight(p.linear(D, 8 * h), p.dw(input_weight_), x, dgates);
  p.done(input_weight_);
  linear_backward_input(p.linear(D, 8 * h), dx, dgates, p.low(input_weight_));
}

WEFT_FOR_STORAGE_TYPES(BiLstm);

} // namespace weft
