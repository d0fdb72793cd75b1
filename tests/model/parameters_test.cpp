// Initial weights: moments, bounds, and that they are a function of seed, tensor and element alone. Which tensors
// decay.
#include "kernels/random/normal.hpp"
#include "kernels/random/uniform.hpp"
#include "model/parameters.hpp"
#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>

using namespace weft;

namespace {

using Fill = void (*)(float*, std::int64_t, double, std::uint64_t, std::uint32_t);

struct Moments {
  double mean = 0, variance = 0, kurtosis = 0, largest = 0;
};
Moments moments_of(const std::vector<float>& x) {
  Moments m;
  const double n = static_cast<double>(x.size());
  for (const float v : x)
    m.mean += v / n;
  for (const float v : x) {
    const double apart = v - m.mean;
    m.variance += apart * apart / n;
    m.kurtosis += apart * apart * apart * apart / n;
    m.largest = std::max(m.largest, std::abs(static_cast<double>(v)));
  }
  m.kurtosis /= m.variance * m.variance;
  return m;
}
std::vector<float> filled(Fill fill, std::int64_t n, double std, std::uint64_t seed, std::uint32_t tensor) {
  std::vector<float> x(static_cast<std::size_t>(n), NAN);
  fill(x.data(), n, std, seed, tensor);
  return x;
}

constexpr std::int64_t many = 200000; // standard errors: of the mean 0.0022 std, of the variance below 0.0032

TEST(Initialisers, UniformHasItsMomentsAndBounds) {
  const Moments m = moments_of(filled(fill_uniform, many, 0.3, 7, 5));
  EXPECT_NEAR(m.mean, 0, 0.002);
  EXPECT_NEAR(m.variance / (0.3 * 0.3 / 3), 1, 0.01);
  EXPECT_NEAR(m.kurtosis, 1.8, 0.02);
  EXPECT_LE(m.largest, static_cast<double>(0.3f));
  EXPECT_GT(m.largest, 0.2999);
}

TEST(Initialisers, TruncatedNormalHasTheStandardDeviationAskedForAndTheCut) {
  const double std = 0.3, cut = 2 * std / 0.87962566103423978;
  const auto x = filled(fill_truncated_normal, many, std, 7, 5);
  const Moments m = moments_of(x);
  EXPECT_NEAR(m.mean, 0, 0.003);
  EXPECT_NEAR(m.variance / (std * std), 1, 0.01);
  EXPECT_NEAR(m.kurtosis, 2.3655, 0.03);
  EXPECT_LE(m.largest, cut * (1 + 1e-7));
  EXPECT_GT(m.largest, 0.999 * cut);
  // Phi(1) - Phi(-1) over Phi(2) - Phi(-2), with the wider deviation.
  const double inside = 0.682689492 / 0.954499736, limit = std / 0.87962566103423978;
  const auto count = std::count_if(x.begin(), x.end(), [&](float v) { return std::abs(v) < limit; });
  EXPECT_NEAR(static_cast<double>(count) / many, inside, 0.005);
}

TEST(Initialisers, NormalHasItsMoments) {
  const Moments m = moments_of(filled(fill_normal, many, 0.3, 7, 5));
  EXPECT_NEAR(m.mean, 0, 0.003);
  EXPECT_NEAR(m.variance / (0.3 * 0.3), 1, 0.015);
  EXPECT_NEAR(m.kurtosis, 3, 0.06);
}

TEST(Initialisers, AreFunctionsOfSeedTensorAndElement) {
  for (const Fill fill : {fill_uniform, fill_truncated_normal, fill_normal}) {
    const auto x = filled(fill, 1003, 1, 7, 5), shorter = filled(fill, 998, 1, 7, 5);
    EXPECT_TRUE(std::equal(shorter.begin(), shorter.end(), x.begin())); // also where no whole block is left
    EXPECT_NE(x, filled(fill, 1003, 1, 8, 5));
    EXPECT_NE(x, filled(fill, 1003, 1, 7, 6));
    auto sorted = x;
    std::sort(sorted.begin(), sorted.end());
    EXPECT_GT(std::unique(sorted.begin(), sorted.end()) - sorted.begin(), 990); // all but different
  }
}

TEST(Parameters, AreInitialisedAsTheySay) {
  ParameterList list;
  list.add("zero", {5}, Initialiser::zero);
  list.add("one", {7}, Initialiser::one);
  list.add("normal", {3, 9}, Initialiser::normal, 0.5);
  list.add("uniform", {40, 50}, Initialiser::uniform, 0.1);
  list.add("truncated", {30, 40}, Initialiser::truncated_normal, 0.2);
  std::vector<float> values(static_cast<std::size_t>(list.extent()), NAN);
  initialise(values.data(), list, 42);
  const auto of = [&](int index) {
    const auto begin = values.begin() + static_cast<std::ptrdiff_t>(list[index].offset);
    return std::vector<float>(begin, begin + static_cast<std::ptrdiff_t>(list[index].size));
  };
  EXPECT_EQ(of(0), std::vector<float>(5, 0.0f));
  EXPECT_EQ(of(1), std::vector<float>(7, 1.0f));
  EXPECT_EQ(of(2), filled(fill_normal, 27, 0.5, 42, 2));
  EXPECT_EQ(of(3), filled(fill_uniform, 2000, 0.1, 42, 3));
  EXPECT_EQ(of(4), filled(fill_truncated_normal, 1200, 0.2, 42, 4));
  for (const float v : values) // gaps too
    EXPECT_EQ(v, v);
}

TEST(Parameters, DecayByRankUnlessTheySayOtherwise) {
  ParameterList list;
  list.add("bias", {4}, Initialiser::zero);
  list.add("weight", {4, 4}, Initialiser::zero);
  list.add("decayed bias", {4}, Initialiser::zero, 0, Decay::always);
  list.add("free weight", {4, 4}, Initialiser::zero, 0, Decay::never);
  EXPECT_FALSE(list[0].decayed());
  EXPECT_TRUE(list[1].decayed());
  EXPECT_TRUE(list[2].decayed());
  EXPECT_FALSE(list[3].decayed());
  EXPECT_EQ(list.count(), 40);
}

} // namespace
