// Promise: the sets of the arena's released code are those of its reshapes, and attention in them is what the engine,
// the key bits and the padded rows together compute.
#include "kernels/attention/attention.hpp"
#include "kernels/attention/fit_rows.hpp"
#include "kernels/attention/padded_rows.hpp"
#include "kernels/attention/released_sets.hpp"
#include "tests/kernels/numbers.hpp"
#include "tests/kernels/support.hpp"
#include <gtest/gtest.h>

using namespace weft;
using namespace weft::testing;
using weft::test::Guarded;

namespace {

WEFT_STORAGE_SUITE(Lengthen);

std::vector<std::uint32_t> some_seen(std::int64_t sequences, std::int64_t length) {
  const std::int64_t words = (length + 31) / 32;
  std::vector<std::uint32_t> seen(static_cast<std::size_t>(sequences * words), 0);
  for (std::int64_t s = 0; s < sequences; ++s)
    for (std::int64_t i = 0; i < 32 * words; ++i) // bits behind the end are set: nobody reads them
      if (i >= length || (s % 2 == 0 ? 3 * i < 2 * length : i % 3 != 1))
        seen[static_cast<std::size_t>(s * words + i / 32)] |= 1u << (i % 32);
  return seen;
}
bool bit(const std::vector<std::uint32_t>& words, std::int64_t length, std::int64_t s, std::int64_t i) {
  return (words[static_cast<std::size_t>(s * ((length + 31) / 32) + i / 32)] >> (i % 32) & 1u) != 0;
}

TEST(ReleasedSets, LengthsAreThoseOfTheReleasedSettings) {
  struct Known {
    std::int64_t length, block, whole;
  };
  for (const Known& k : {Known{2001, 50, 2050}, {1001, 50, 1050}, {4000, 50, 4050}, {1024, 64, 1088}, {1000, 50, 1050}})
    EXPECT_EQ(ReleasedSets::with_tail(k.length, k.block).whole(), k.whole) << k.length;
  EXPECT_EQ(ReleasedSets::without_tail(2000, 50).whole(), 2000);
}

TEST(ReleasedSets, BitsAreThoseOfTheMaskCutIntoRuns) {
  for (const auto& [N, b] : {std::pair<std::int64_t, std::int64_t>{7, 3}, {64, 16}, {70, 50}, {131, 9}}) {
    const ReleasedSets sets = ReleasedSets::with_tail(N, b);
    const auto seen = some_seen(3, N);
    Buffer<std::uint32_t> from(static_cast<std::int64_t>(seen.size()), "test");
    copy_to_device(from.data(), seen.data(), from.bytes());
    const std::int64_t words = (sets.whole() + 31) / 32;
    Buffer<std::uint32_t> bits(3 * words, "test");
    released_set_bits(bits.data(), from.data(), 3, sets);
    std::vector<std::uint32_t> got(static_cast<std::size_t>(3 * words));
    copy_to_host(got.data(), bits.data(), bits.bytes());
    for (std::int64_t s = 0; s < 3; ++s)
      for (std::int64_t set = 0; set < sets.sets; ++set)
        for (std::int64_t slot = 0; slot < b; ++slot) {
          const std::int64_t at = set * b + slot;
          EXPECT_EQ(bit(got, sets.whole(), s, slot * sets.sets + set), at >= N || bit(seen, N, s, at))
              << N << " " << s << " " << set << " " << slot;
        }
    for (std::int64_t i = sets.whole(); i < 32 * words; ++i)
      EXPECT_FALSE(bit(got, sets.whole(), 0, i));
  }
}

TYPED_TEST(Lengthen, MovesRowsAndFillsUpWithZeros) {
  using T = TypeParam;
  for (const auto& [N, longer, width] :
       {std::tuple<std::int64_t, std::int64_t, std::int64_t>{1, 1, 1}, {5, 9, 3}, {7, 8, 2500}, {6, 6, 4}}) {
    const auto x = rounded<T>(random_doubles(3 * N * width, 1));
    Guarded<T> from(test::stored<T>(x)), to(static_cast<std::size_t>(3 * longer * width)), back(x.size());
    fit_rows(to.data(), longer, static_cast<const T*>(from.data()), N, 3, width);
    fit_rows(back.data(), N, static_cast<const T*>(to.data()), longer, 3, width);
    const Doubles got = test::widened(to.get());
    for (std::int64_t s = 0; s < 3; ++s)
      for (std::int64_t i = 0; i < longer * width; ++i)
        EXPECT_EQ(got[static_cast<std::size_t>(s * longer * width + i)],
                  i < N * width ? x[static_cast<std::size_t>(s * N * width + i)] : 0.0);
    EXPECT_EQ(test::widened(back.get()), x);
    EXPECT_TRUE(to.guards_survive() && back.guards_survive());
  }
}

/// What the layer does, in double: dense attention with the mask (i mod C = j mod C) over N' positions.
TEST(ReleasedSets, LocalIsDenseAttentionWithThatMask) {
  const std::int64_t N = 11, E = 3;
  const ReleasedSets sets = ReleasedSets::with_tail(N, 4); // C = 3, N' = 12
  const reference::ReleasedLocal a{1, 1, E, E, sets};
  const Doubles q = random_doubles(N * E, 1), k = random_doubles(N * E, 2), v = random_doubles(N * E, 3);
  Doubles out(q.size());
  reference::released_local_forward(a, out.data(), q.data(), k.data(), v.data(), nullptr);
  for (std::int64_t i = 0; i < N; ++i) {
    Doubles want(static_cast<std::size_t>(E), 0);
    double sum = 0;
    for (std::int64_t j = 0; j < 12; ++j) {
      if (j % 3 != i % 3)
        continue;
      double score = 0;
      for (std::int64_t e = 0; e < E && j < N; ++e)
        score += q[static_cast<std::size_t>(i * E + e)] * k[static_cast<std::size_t>(j * E + e)];
      const double weight = std::exp(score / std::sqrt(3.0));
      sum += weight;
      for (std::int64_t e = 0; e < E && j < N; ++e)
        want[static_cast<std::size_t>(e)] += weight * v[static_cast<std::size_t>(j * E + e)];
    }
    for (std::int64_t e = 0; e < E; ++e)
      EXPECT_NEAR(out[static_cast<std::size_t>(i * E + e)], want[static_cast<std::size_t>(e)] / sum, 1e-14);
  }
}

TEST(ReleasedSets, LocalGradientIsThatOfFiniteDifferences) {
  const std::int64_t N = 7, E = 2, Ev = 3, n = 2 * N * 2;
  const reference::ReleasedLocal a{2, 2, E, Ev, ReleasedSets::with_tail(N, 3)};
  const auto seen = some_seen(2, N);
  const Doubles q = random_doubles(n * E, 1), k = random_doubles(n * E, 2), v = random_doubles(n * Ev, 3),
                dout = random_doubles(n * Ev, 4);
  Doubles dq(q.size()), dk(k.size()), dv(v.size());
  for (const std::uint32_t* bits : {static_cast<const std::uint32_t*>(nullptr), seen.data()}) {
    const auto value = [&](const Doubles& at_q, const Doubles& at_k, const Doubles& at_v) {
      Doubles out(dout.size());
      reference::released_local_forward(a, out.data(), at_q.data(), at_k.data(), at_v.data(), bits);
      return dot(out, dout);
    };
    reference::released_local_backward(a, dq.data(), dk.data(), dv.data(), dout.data(), q.data(), k.data(), v.data(),
                                       bits);
    EXPECT_AT_MOST(relative_error(dq, finite_difference([&](const Doubles& x) { return value(x, k, v); }, q)), 1e-8);
    EXPECT_AT_MOST(relative_error(dk, finite_difference([&](const Doubles& x) { return value(q, x, v); }, k)), 1e-8);
    EXPECT_AT_MOST(relative_error(dv, finite_difference([&](const Doubles& x) { return value(q, k, x); }, v)), 1e-8);
  }
}

} // namespace
