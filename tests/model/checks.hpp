// What every classifier has to keep, whatever its layers: one check for the tests of all families.
#pragma once
#include "tests/model/arena_fixture.hpp"
#include <algorithm>

namespace weft::testing {

/// Micro-batches cut to 64 positions give the logits and, with the same masks of dropout, the gradients of whole ones.
inline void expect_shorter_is_the_same(Fixture& f, const std::string& what) {
  ASSERT_TRUE(f.model->variable_length()) << what;
  const std::vector<float> whole = f.logits();
  const Doubles gradient = f.gradient();
  f.lay_out(64);
  const std::vector<float> shorter = f.logits();
  for (std::size_t i = 0; i < whole.size(); ++i)
    EXPECT_NEAR(whole[i], shorter[i], 2e-6) << what;
  EXPECT_AT_MOST(relative_error(f.gradient(), gradient), 2e-5) << what << ": dropout drew other numbers";
}

/// Gradients are announced from the end of the list to its beginning, and what is announced does not change any more.
/// Returns the number of announcements: the sum over ranks of one begins while the next one is computed.
inline std::int64_t expect_announced_and_final(Fixture& f, const std::string& what) {
  const Doubles whole = f.gradient();
  std::int64_t last = f.model->parameters().extent(), calls = 0;
  Buffer<float> g(last, "gradient");
  device_zero(g.data(), g.bytes());
  f.model->forward_backward(f.batch, g.data(), f.scores, [&](std::int64_t first) {
    EXPECT_LT(first, last) << what;
    fence();
    const Doubles now = to_doubles(g);
    EXPECT_TRUE(std::equal(now.begin() + first, now.begin() + last, whole.begin() + first)) << what << " " << first;
    last = first;
    ++calls;
  });
  EXPECT_EQ(last, 0) << what;
  return calls;
}

/// The loss that a training step has, with its masks of dropout: that of its gradient, where forward() has none.
inline double loss_of_step(Fixture& f) {
  f.gradient();
  double sum = 0;
  for (const float l : f.scores.losses)
    sum += static_cast<double>(l);
  return sum * static_cast<double>(f.batch.loss_factor);
}

} // namespace weft::testing
