#include "model/heads/classes.hpp"
#include "kernels/activation/activation.hpp"
#include "model/storage.hpp"
#include <algorithm>
#include <cmath>

namespace weft {

namespace {
Initial start_of(ClassStart start, std::int64_t inputs, std::int64_t outputs) {
  const double in = static_cast<double>(inputs), out = static_cast<double>(outputs);
  switch (start) {
  case ClassStart::lecun:
    return {Initialiser::truncated_normal, 1 / std::sqrt(in)};
  case ClassStart::torch:
    return {Initialiser::uniform, 1 / std::sqrt(in)};
  case ClassStart::xavier:
    return {Initialiser::uniform, std::sqrt(6 / (in + out))};
  case ClassStart::small:
    return {Initialiser::normal, 0.02};
  }
  return {};
}
} // namespace

template <class T>
ClassHead<T>::ClassHead(Plan& plan, const ClassSetup& setup)
    : D(setup.width), pooling_(plan, {setup.pooling, setup.width, setup.divisor, setup.pooling_width,
                                      setup.start == ClassStart::torch}),
      activation_(setup.activation), dropout_(setup.dropout), wide_dropout_(setup.wide_dropout), pairs_(setup.pairs) {
  const std::int64_t P = pairs_ ? plan.S / 2 : plan.S;
  pooled_ = plan.keep<T>("head.pooled", plan.S * D);
  dpooled_ = plan.scratch<T>("dpooled", plan.S * D);
  dx_ = plan.scratch<T>("branch", plan.R * D);
  std::vector<std::int64_t> widths{pairs_ ? pair_width(*pairs_, D) : D};
  widths.insert(widths.end(), setup.hidden.begin(), setup.hidden.end());
  widths.push_back(setup.classes);
  Piece<T> input = pairs_ ? plan.keep<T>("head.features", P * widths[0]) : pooled_;
  for (std::size_t i = 0; i + 1 < widths.size(); ++i) {
    const bool last = i + 2 == widths.size();
    const std::string name = last ? "head.logits" : i == 0 ? "head.mlp" : "head.mlp" + std::to_string(i + 1);
    Dense d{{}, {}, widths[i], widths[i + 1], input, {}};
    d.weight = plan.weight(name + ".weight", {d.inputs, d.outputs}, start_of(setup.start, d.inputs, d.outputs));
    if (!last || setup.last_bias)
      d.bias = plan.weight(name + ".bias", {d.outputs},
                           setup.start == ClassStart::torch ? start_of(setup.start, d.inputs, d.outputs) : Initial{});
    if (!last) {
      if (dropout_ >= 0)
        d.site = plan.dropout_site();
      d.u = plan.keep<T>(name + ".u", P * d.outputs);
      input = plan.keep<T>(name + ".output", P * d.outputs);
    }
    if (wide_dropout_ >= 0)
      d.wide_site = plan.dropout_site();
    plan.product({P, d.inputs, d.outputs});
    layers_.push_back(d);
  }
  const std::int64_t widest = *std::max_element(widths.begin(), widths.end());
  dwide_[0] = plan.scratch<T>("head.gradient0", P * widest);
  dwide_[1] = plan.scratch<T>("head.gradient1", P * widest);
  partial_ = plan.scratch<float>("partial", column_sum_workspace(P, widest));
  predictions_ = Predictions<T>(plan, P, setup.classes, false);
  predictions_.proximity = setup.proximity;
}

template <class T>
void ClassHead<T>::drop(const Pass<T>& p, T* x, float probability, std::uint32_t site, std::int64_t rows,
                        std::int64_t width) const {
  const Dropout dropout = p.dropout(std::max(probability, 0.0f), site);
  if (dropout.probability > 0)
    dropout_forward(x, x, dropout, {rows, 1, width});
}

template <class T>
void ClassHead<T>::forward(const Pass<T>& p, const T* x) const {
  const std::int64_t P = predictions_.P;
  pooling_.forward(p, p(pooled_), x);
  drop(p, p(pooled_), wide_dropout_, layers_.front().wide_site, pairs_ ? 2 * P : P, D);
  if (pairs_)
    pairs_forward(p(layers_.front().input), p(pooled_), *pairs_, P, D);
  for (std::size_t i = 0; i + 1 < layers_.size(); ++i) {
    const Dense& d = layers_[i];
    linear_forward(shape(d), p(d.u), p(d.input), p.low(d.weight), p.w(d.bias));
    drop(p, p(d.u), dropout_, d.site, P, d.outputs);
    const Dense& next = layers_[i + 1];
    activation_forward(p(next.input), p(d.u), P * d.outputs, activation_);
    drop(p, p(next.input), wide_dropout_, next.wide_site, P, d.outputs);
  }
  const Dense& last = layers_.back();
  linear_forward(shape(last), p(predictions_.logits), p(last.input), p.low(last.weight),
                 last.bias ? p.w(last.bias) : nullptr);
  predictions_.forward(p);
}

template <class T>
T* ClassHead<T>::backward(const Pass<T>& p, const T* x) const {
  const std::int64_t P = predictions_.P;
  const T* dy = p(predictions_.dlogits);
  if (layers_.back().bias)
    column_sum(p.dw(layers_.back().bias), dy, P, layers_.back().outputs, p(partial_));
  for (std::size_t i = layers_.size(); i-- > 0;) {
    const Dense& d = layers_[i];
    linear_backward_weight(shape(d), p.dw(d.weight), p(d.input), dy);
    const bool features = i == 0 && pairs_;
    T* dinput = i == 0 && !features ? p(dpooled_) : p(dwide_[i % 2]);
    linear_backward_input(shape(d), dinput, dy, p.low(d.weight));
    if (i > 0) { // through the activation, whose output was this layer's input; the bias before it ends there
      const Dense& before = layers_[i - 1];
      drop(p, dinput, wide_dropout_, d.wide_site, P, d.inputs);
      activation_backward(p(d.input), dinput, p.dw(before.bias), dinput, p(before.u), P, before.outputs, p(partial_),
                          activation_);
      const Dropout dropout = p.dropout(std::max(dropout_, 0.0f), before.site);
      if (dropout.probability > 0)
        residual_backward(dinput, p.dw(before.bias), dinput, dropout, {P, 1, before.outputs}, p(partial_));
      dy = dinput;
    } else if (features) {
      pairs_backward(p(dpooled_), dinput, p(pooled_), *pairs_, P, D);
    }
  }
  drop(p, p(dpooled_), wide_dropout_, layers_.front().wide_site, pairs_ ? 2 * P : P, D);
  pooling_.backward(p, p(dx_), p(dpooled_), x);
  return p(dx_);
}

WEFT_FOR_STORAGE_TYPES(ClassHead);

} // namespace weft
