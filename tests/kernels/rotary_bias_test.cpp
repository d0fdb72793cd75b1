// The rotary bias: the reference against finite differences, the kernels against the reference.
#include "kernels/relative/rotary_bias.hpp"
#include "tests/kernels/numbers.hpp"
#include "tests/kernels/support.hpp"
#include "tests/kernels/thread_counts.hpp"
#include <cstdio>
#include <gtest/gtest.h>

using namespace weft;
using namespace weft::testing;
using weft::test::Guarded, weft::test::widened;

namespace {

const RotaryBias shapes[] = {{1, 2}, {2, 4}, {33, 6}, {300, 64}, {20000, 8}};

std::size_t numbers(const RotaryBias& s) { return static_cast<std::size_t>(2 * s.reach - 1); }

TEST(Reference, RotaryBiasTurnsHalvesAgainstEachOther) {
  const Doubles a = {1, 0}, b = {0, 1};
  Doubles t(5);
  reference::rotary_bias_forward({3, 2}, t.data(), a.data(), b.data());
  for (int d = -2; d <= 2; ++d) // (cos i, sin i) . (-sin j, cos j) = -sin(j - i)
    EXPECT_NEAR(t[static_cast<std::size_t>(2 + d)], -std::sin(d), 1e-14);
}

TEST(Reference, RotaryBiasGradientsAreThoseOfFiniteDifferences) {
  const RotaryBias s{7, 6};
  const Doubles a = random_doubles(6, 1), b = random_doubles(6, 2), slopes = random_doubles(13, 3);
  Doubles da(6, NAN), db(6, NAN);
  reference::rotary_bias_backward(s, da.data(), db.data(), slopes.data(), a.data(), b.data());
  const auto loss = [&](const Doubles& first, const Doubles& second) {
    Doubles t(13);
    reference::rotary_bias_forward(s, t.data(), first.data(), second.data());
    return dot(t, slopes);
  };
  EXPECT_AT_MOST(relative_error(da, finite_difference([&](const Doubles& x) { return loss(x, b); }, a)), 1e-9);
  EXPECT_AT_MOST(relative_error(db, finite_difference([&](const Doubles& x) { return loss(a, x); }, b)), 1e-9);
}

struct Result {
  Doubles bias, da, db;
  bool clean;
};
Result kernels_of(const RotaryBias& s) {
  Guarded<float> a(test::stored<float>(random_doubles(s.width, 1))), b(test::stored<float>(random_doubles(s.width, 2))),
      slopes(test::stored<float>(random_doubles(2 * s.reach - 1, 3))), bias(numbers(s)), da(a.size()), db(a.size());
  rotary_bias_forward(s, bias.data(), a.data(), b.data());
  rotary_bias_backward(s, da.data(), db.data(), slopes.data(), a.data(), b.data());
  return {widened(bias.get()), widened(da.get()), widened(db.get()),
          bias.guards_survive() && da.guards_survive() && db.guards_survive()};
}

TEST(RotaryBias, FollowsTheReference) {
  for (const RotaryBias& s : shapes) {
    const Doubles a = rounded<float>(random_doubles(s.width, 1)), b = rounded<float>(random_doubles(s.width, 2)),
                  slopes = rounded<float>(random_doubles(2 * s.reach - 1, 3));
    Doubles bias(numbers(s)), da(a.size()), db(a.size());
    reference::rotary_bias_forward(s, bias.data(), a.data(), b.data());
    reference::rotary_bias_backward(s, da.data(), db.data(), slopes.data(), a.data(), b.data());
    const Result got = kernels_of(s);
    EXPECT_TRUE(got.clean);
    EXPECT_AT_MOST(relative_error(got.bias, bias), 1e-7) << s.reach;
    EXPECT_AT_MOST(relative_error(got.da, da), 1e-7) << s.reach;
    EXPECT_AT_MOST(relative_error(got.db, db), 1e-7) << s.reach;
  }
}

std::string bits() {
  test::Hash hash;
  for (const RotaryBias& s : shapes) {
    const Result r = kernels_of(s);
    hash.add(r.bias, r.da, r.db);
  }
  return hash.text();
}

TEST(RotaryBiasBits, DISABLED_Print) { std::puts(bits().c_str()); }

TEST(RotaryBiasBits, DoNotDependOnTheNumberOfThreads) {
  test::expect_from_threads("RotaryBiasBits.DISABLED_Print", bits(), {1, 3, 4});
}

} // namespace
