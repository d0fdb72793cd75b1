// The reference itself: its gradients against fourth-order finite differences of a random weighted sum.
#include "kernels/attention/attention_reference.hpp"
#include "tests/kernels/attention_support.hpp"
#include <cmath>
#include <gtest/gtest.h>
#include <limits>

namespace weft::test {
namespace {

TEST(AttentionReference, GradientsMatchFiniteDifferences) {
  for (const PatternCase& p : pattern_cases()) {
    SCOPED_TRACE(p.name);
    AttentionCase<float> c(p.groups(19), 2, 3, 3, 5, 31); // fixed_summary: rows without a key are among these
    const AttentionResult gradients = run_reference(c);
    const auto weighted_sum = [&] {
      std::vector<double> out(c.value_numbers()), lse(gradients.lse.size());
      weft::reference::attention_forward(c.reference, out.data(), lse.data(), c.q.data(), c.k.data(), c.v.data());
      double sum = 0;
      for (std::size_t i = 0; i < out.size(); ++i)
        sum += c.dout[i] * out[i];
      return sum;
    };
    const auto expect_gradient = [&](const char* name, std::vector<double>& x, const std::vector<double>& gradient) {
      std::vector<double> numerical(x.size());
      const double step = 1e-3; // error step^4 / 30 times the fifth derivative, rounding 1e-16 / step: both below 1e-11
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
    expect_gradient("q", c.q, gradients.dq);
    expect_gradient("k", c.k, gradients.dk);
    expect_gradient("v", c.v, gradients.dv);
  }
}

TEST(AttentionReference, ProbabilitiesSumToOneAndOneKeyCopiesItsValue) {
  weft::reference::Attention a{1, 3, 1, 1, 1, {{{}, {0}, {0, 2}}}};
  const std::vector<double> q{1, 2, 3}, k{0.5, 9, -0.5}, v{4, 5, 6};
  std::vector<double> out(3), lse(3);
  weft::reference::attention_forward(a, out.data(), lse.data(), q.data(), k.data(), v.data());
  EXPECT_EQ(out[0], 0.0);
  EXPECT_EQ(lse[0], -std::numeric_limits<double>::infinity());
  EXPECT_EQ(out[1], 4.0);
  EXPECT_DOUBLE_EQ(lse[1], 1.0);
  const double first = 1 / (1 + std::exp(-3.0)); // scores 1.5 and -1.5
  EXPECT_NEAR(out[2], first * 4 + (1 - first) * 6, 1e-14);
}

} // namespace
} // namespace weft::test
