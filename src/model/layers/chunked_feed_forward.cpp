#include "model/layers/chunked_feed_forward.hpp"
#include "kernels/sum/sum.hpp"
#include "model/layers/feed_forward_rows.hpp"
#include "model/storage.hpp"
#include <stdexcept>

namespace weft {

template <class T>
ChunkedFeedForward<T>::ChunkedFeedForward(Plan& plan, const std::string& name, const FeedForwardSetup& setup,
                                          std::int64_t chunks)
    : D(setup.width), F(setup.hidden), chunks_(chunks), activation_(setup.activation) {
  if (setup.dropout >= 0)
    throw std::logic_error("dropout inside of a chunked feed-forward layer");
  in_weight_ = plan.weight(name + "feedforward.in.weight", {D, F}, setup.in);
  in_bias_ = plan.weight(name + "feedforward.in.bias", {F}, setup.in_bias);
  out_weight_ = plan.weight(name + "feedforward.out.weight", {F, D}, setup.out);
  out_bias_ = plan.weight(name + "feedforward.out.bias", {D}, setup.out_bias);
  const std::int64_t rows = (plan.R + chunks - 1) / chunks;
  hidden_ = plan.scratch<T>("hidden", rows * F);
  gate_ = plan.scratch<T>("gate", rows * F);
  dhidden_ = plan.scratch<T>("dhidden", rows * F);
  partial_ = plan.scratch<float>("partial", column_sum_workspace(rows, F));
  dbias_ = plan.scratch<float>("dbias", F);
  plan.product({plan.R, D, F}, true);
  plan.product({plan.R, F, D});
}

template <class T>
void ChunkedFeedForward<T>::forward(const Pass<T>& p, T* y, const T* x) {
  p.in_chunks(chunks_, [&](std::int64_t first, std::int64_t rows) {
    linear_forward({rows, D, F}, p(hidden_), x + first * D, p.low(in_weight_), p.w(in_bias_));
    activation_forward(p(gate_), p(hidden_), rows * F, activation_);
    linear_forward({rows, F, D}, y + first * D, p(gate_), p.low(out_weight_), p.w(out_bias_));
  });
}

template <class T>
void ChunkedFeedForward<T>::backward(const Pass<T>& p, T* dx, const T* dy, const T* x) {
  p.in_chunks(chunks_, [&](std::int64_t first, std::int64_t rows) {
    T *hidden = p(hidden_), *gate = p(gate_), *dhidden = p(dhidden_);
    const T *x_part = x + first * D, *dy_part = dy + first * D;
    const Into into = first == 0 ? Into::overwrite : Into::add;
    linear_forward({rows, D, F}, hidden, x_part, p.low(in_weight_), p.w(in_bias_));
    // y = f(hidden) W_out + b
    linear_backward_input({rows, F, D}, dhidden, dy_part, p.low(out_weight_));
    activation_backward(gate, dhidden, first == 0 ? p.dw(in_bias_) : p(dbias_), dhidden, hidden, rows, F, p(partial_),
                        activation_);
    if (first > 0)
      add_to(p.dw(in_bias_), p(dbias_), F);
    linear_backward_weight({rows, F, D}, p.dw(out_weight_), gate, dy_part, into);
    // hidden = x W_in + b
    linear_backward_weight({rows, D, F}, p.dw(in_weight_), x_part, dhidden, into);
    linear_backward_input({rows, D, F}, dx + first * D, dhidden, p.low(in_weight_));
  });
  p.done(out_weight_);
}

/// A row needs no chunks.
template <class T>
std::unique_ptr<RowLayer<T>> ChunkedFeedForward<T>::rows(const RowSetup& setup) const {
  return std::make_unique<FeedForwardRows<T>>(setup, in_weight_, in_bias_, out_weight_, out_bias_, activation_);
}

WEFT_FOR_STORAGE_TYPES(ChunkedFeedForward);

} // namespace weft
