// The reference itself: its gradients against fourth-order finite differences of a random weighted sum.
#include "kernels/attention/attention_reference.hpp"
#include "tests/kernels/attention_differences.hpp"
#include <cmath>
#include <gtest/gtest.h>
#include <limits>

namespace weft::test {
namespace {

TEST(AttentionReference, GradientsMatchFiniteDifferences) {
  for (const PatternCase& p : pattern_cases()) {
    SCOPED_TRACE(p.name);
    AttentionCase<float> c(p.groups(19), 2, 3, 3, 5, 31); // fixed_summary: rows without a key are among these
    expect_gradients_of_differences(c);
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
