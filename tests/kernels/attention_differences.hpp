// The gradients of the reference against fourth-order finite differences of a random weighted sum.
#pragma once
#include "tests/kernels/attention_support.hpp"
#include <gtest/gtest.h>

namespace weft::test {

inline void expect_gradients_of_differences(AttentionCase<float>& c) {
  const AttentionResult gradients = run_reference(c);
  std::vector<double> out(c.value_numbers()), lse(gradients.lse.size());
  const auto weighted_sum = [&] {
    weft::reference::attention_forward(c.reference, out.data(), lse.data(), c.q.data(), c.k.data(), c.v.data());
    double sum = 0;
    for (std::size_t i = 0; i < out.size(); ++i)
      sum += c.dout[i] * out[i];
    return sum;
  };
  const auto expect_gradient = [&](const char* name, std::vector<double>& x, const std::vector<double>& gradient) {
    const double step = 1e-3; // error step^4 / 30 times the fifth derivative, rounding 1e-16 / step: both below 1e-11
    std::vector<double> numerical(x.size());
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double at = x[i];
      const auto f = [&](double shift) {
        x[i] = at + shift * step;
        return weighted_sum();
      };
      numerical[i] = (8 * (f(1) - f(-1)) - (f(2) - f(-2))) / (12 * step);
      x[i] = at;
    }
    EXPECT_GT(largest(gradient), 1e-3) << name;
    EXPECT_TRUE(relative_difference(gradient, numerical) <= 1e-7)
        << name << " " << relative_difference(gradient, numerical);
  };
  if (c.shape.key_width > 0) {
    expect_gradient("q", c.q, gradients.dq);
    expect_gradient("k", c.k, gradients.dk);
  }
  if (!c.reference.table.empty())
    expect_gradient("table", c.reference.table, gradients.dtable);
  expect_gradient("v", c.v, gradients.dv);
}

} // namespace weft::test
