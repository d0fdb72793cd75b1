// A model's gradient against finite differences of its loss, in fp32.
#pragma once
#include "model/parameters.hpp"
#include "tests/kernels/numbers.hpp"
#include <functional>

namespace weft::testing {

/// How far the directional derivative of `loss` lies from that of `gradient`, relatively, along a direction in one
/// tensor: mostly along the gradient, so that the derivative stands out of fp32 noise, with random weights on every
/// element that `takes` wants (all if empty). h: the length of a step. Infinite where the gradient is zero throughout.
inline double directional_error(const Parameter& p, const Doubles& gradient, const std::vector<float>& values, double h,
                                const std::function<double(const std::vector<float>&)>& loss,
                                const std::function<bool(std::int64_t)>& takes = {}) {
  Doubles direction(gradient.size(), 0);
  const Doubles random = random_doubles(p.size, 9);
  double along = 0, squares = 0;
  for (std::int64_t i = 0; i < p.size; ++i) {
    const auto at = static_cast<std::size_t>(p.offset + i);
    if (takes && !takes(i))
      continue;
    direction[at] = gradient[at] * (1 + 0.5 * std::abs(random[static_cast<std::size_t>(i)]));
    along += direction[at] * gradient[at];
    squares += direction[at] * direction[at];
  }
  if (!(squares > 0))
    return INFINITY;
  h /= std::sqrt(squares);
  const auto loss_at = [&](double shift) {
    std::vector<float> moved = values;
    for (std::size_t i = 0; i < moved.size(); ++i)
      moved[i] += static_cast<float>(shift * direction[i]);
    return loss(moved);
  };
  const double derivative = (8 * (loss_at(h) - loss_at(-h)) - (loss_at(2 * h) - loss_at(-2 * h))) / (12 * h);
  return std::abs(derivative - along) / along;
}

} // namespace weft::testing
