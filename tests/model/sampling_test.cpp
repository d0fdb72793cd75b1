// Promise: tokens are drawn from exactly the distribution asked for, and a sample is a function of (seed, sample).
#include "io/error.hpp"
#include "model/sampling/sampling.hpp"
#include "tests/kernels/numbers.hpp"
#include <gtest/gtest.h>
#include <limits>

using namespace weft;
using namespace weft::testing;

namespace {

const std::vector<float> z = {1.0f, 3.0f, 2.0f, 3.0f, -1.0f}; // two are the largest: the first of them ranks before

std::vector<double> p(Choosing c) { return probabilities(z.data(), 5, c); }

TEST(Probabilities, AreTheSoftmaxAtEveryTemperature) {
  for (const double t : {0.5, 1.0, 2.5}) {
    const std::vector<double> got = p({.temperature = t});
    double sum = 0;
    for (const float v : z)
      sum += std::exp(static_cast<double>(v) / t);
    for (std::size_t v = 0; v < z.size(); ++v)
      EXPECT_AT_MOST(std::abs(got[v] - std::exp(static_cast<double>(z[v]) / t) / sum), 1e-12) << t << " " << v;
  }
  EXPECT_EQ(p({.temperature = 0}), (std::vector<double>{0, 1, 0, 0, 0}));
}

TEST(Probabilities, TopKKeepsTheMostProbable) {
  EXPECT_EQ(p({.top_k = 1}), (std::vector<double>{0, 1, 0, 0, 0}));
  EXPECT_EQ(p({.top_k = 2}), (std::vector<double>{0, 0.5, 0, 0.5, 0}));
  const std::vector<double> three = p({.top_k = 3}), all = p({});
  const double sum = all[1] + all[2] + all[3];
  for (const std::size_t v : {1u, 2u, 3u})
    EXPECT_AT_MOST(std::abs(three[v] - all[v] / sum), 1e-12);
  EXPECT_EQ(three[0] + three[4], 0);
  EXPECT_EQ(p({.top_k = 5}), all);
}

TEST(Probabilities, TopPKeepsAsManyAsReachTheSum) {
  const std::vector<double> all = p({});
  EXPECT_EQ(p({.top_p = 1e-9}), (std::vector<double>{0, 1, 0, 0, 0}));
  EXPECT_EQ(p({.top_p = all[1] + 1e-6}), (std::vector<double>{0, 0.5, 0, 0.5, 0}));
  EXPECT_GT(p({.top_p = 2 * all[1] + 1e-6})[2], 0);
  EXPECT_EQ(p({.top_p = 2 * all[1] + 1e-6})[0], 0);
  EXPECT_EQ(p({.top_p = 1})[4], all[4]);
  // Of what top-k has left: half of two equal ones is the first.
  EXPECT_EQ(p({.top_k = 2, .top_p = 0.5}), (std::vector<double>{0, 1, 0, 0, 0}));
}

TEST(Probabilities, RefuseBadNumbers) {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    std::vector<float> logits = z;
    logits[2] = bad;
    EXPECT_THROW(probabilities(logits.data(), 5, {}), NumbersError);
    EXPECT_THROW(probabilities(logits.data(), 5, {.temperature = 0}), NumbersError);
  }
}

/// Chi-squared of n draws; 0.1 % of honest samplers are above 18.5 at four degrees of freedom.
double chi_squared(const std::vector<double>& wanted, const std::function<std::uint16_t(int)>& draw, int n) {
  std::vector<double> counts(wanted.size(), 0);
  for (int i = 0; i < n; ++i)
    counts[draw(i)] += 1;
  double sum = 0;
  for (std::size_t v = 0; v < wanted.size(); ++v) {
    if (wanted[v] == 0) {
      EXPECT_EQ(counts[v], 0) << "token " << v << " has no probability";
      continue;
    }
    const double expected = wanted[v] * n;
    sum += (counts[v] - expected) * (counts[v] - expected) / expected;
  }
  return sum;
}

TEST(Choose, DrawsFromTheDistribution) {
  for (const Choosing& c : {Choosing{}, Choosing{.temperature = 2.5}, Choosing{.top_k = 3}, Choosing{.top_p = 0.9}}) {
    const std::vector<double> wanted = p(c);
    const auto over_positions = [&](int i) { return choose(wanted, 11, 4, i); };
    const auto over_samples = [&](int i) { return choose(wanted, 11, static_cast<std::uint32_t>(i), 4); };
    const auto over_seeds = [&](int i) { return choose(wanted, static_cast<std::uint64_t>(i), 4, 4); };
    EXPECT_AT_MOST(chi_squared(wanted, over_positions, 40000), 18.5);
    EXPECT_AT_MOST(chi_squared(wanted, over_samples, 40000), 18.5);
    EXPECT_AT_MOST(chi_squared(wanted, over_seeds, 40000), 18.5);
  }
}

/// Logits that depend on the token before: z of v = 2 where v follows it, mod 5, else 0.
struct Ring final : Decoder {
  void restart() override { at = 0; }
  std::int64_t position() const override { return at; }
  void step(const std::uint16_t* previous, float* logits) override {
    for (std::int64_t s = 0; logits && s < samples(); ++s)
      for (int v = 0; v < 5; ++v)
        logits[s * 5 + v] = v == (previous[s] + 1) % 5 ? 2.0f : 0.0f;
    asked += logits != nullptr;
    ++at;
  }
  std::int64_t samples() const override { return rows; }
  std::int64_t length() const override { return 100; }
  std::int64_t keys_seen() const override { return 0; }
  std::size_t cache_bytes() const override { return 0; }
  std::int64_t at = 0, rows = 2, asked = 0;
};

TEST(Generate, KeepsTheGivenPartAndGoesOnFromIt) {
  Ring ring;
  const auto out = generate(ring, 5, {0, 1}, {{3, 3, 0}, {1, 2, 2}}, 8, {.temperature = 0});
  EXPECT_EQ(out[0], (std::vector<std::uint16_t>{3, 3, 0, 1, 2, 3, 4, 0}));
  EXPECT_EQ(out[1], (std::vector<std::uint16_t>{1, 2, 2, 3, 4, 0, 1, 2}));
  EXPECT_EQ(ring.asked, 5) << "logits of given tokens are not needed";
}

TEST(Generate, ASampleDoesNotDependOnItsGroup) {
  Ring two, one;
  one.rows = 1;
  const Choosing choosing{.seed = 5};
  const auto both = generate(two, 5, {6, 7}, {{}, {}}, 100, choosing);
  EXPECT_EQ(generate(one, 5, {7}, {{}}, 100, choosing)[0], both[1]);
  EXPECT_EQ(generate(two, 5, {7}, {{}}, 100, choosing)[0], both[1]) << "with a row to spare";
  EXPECT_NE(both[0], both[1]);
  EXPECT_NE(generate(one, 5, {7}, {{}}, 100, {.seed = 6})[0], both[1]);
}

} // namespace
