// Scores by distance: tables and their gradients.
#include "kernels/relative/relative_scores.hpp"
#include "tests/kernels/numbers.hpp"
#include "tests/kernels/support.hpp"
#include "tests/kernels/thread_counts.hpp"
#include <cstdio>
#include <gtest/gtest.h>

using namespace weft;
using namespace weft::testing;
using weft::test::Guarded, weft::test::widened;

namespace {

// Reaches below, at and beyond the length; more diagonals than one task has.
const RelativeScores shapes[] = {{1, 1},     {7, 3},     {9, 9},     {20, 33},  {150, 140},     {200, 300},
                                 {20, 5, 5}, {23, 7, 7}, {23, 4, 7}, {6, 9, 9}, {300, 160, 130}};

std::size_t numbers(const RelativeScores& s) { return static_cast<std::size_t>(s.numbers()); }
/// body(i, j, its place in the table) for every pair of a chunk.
template <class Body>
void each_pair(const RelativeScores& s, const Body& body) {
  for (std::int64_t i = 0; i < s.length; ++i)
    for (std::int64_t j = 0; j < s.length; ++j)
      if (i / s.stride() == j / s.stride())
        body(i, j, static_cast<std::size_t>(i * s.stride() + j));
}

TEST(Reference, RelativeScoresAreThoseOfTheDistance) {
  Doubles table(9);
  const Doubles bias = {-2, -1, 0.5, 1, 2}, near = {-1, 0.5, 1};
  reference::relative_scores_forward({3, 3}, table.data(), bias.data());
  EXPECT_EQ(table, (Doubles{0.5, 1, 2, -1, 0.5, 1, -2, -1, 0.5}));
  reference::relative_scores_forward({3, 2}, table.data(), near.data());
  EXPECT_EQ(table, (Doubles{0.5, 1, 0, -1, 0.5, 1, 0, -1, 0.5}));
}

TEST(Reference, RelativeScoreGradientsAreThoseOfFiniteDifferences) {
  for (const RelativeScores& s : {RelativeScores{5, 3}, RelativeScores{4, 6}, RelativeScores{11, 3, 4}}) {
    const Doubles bias = random_doubles(2 * s.reach - 1, 1), slopes = random_doubles(s.numbers(), 2);
    Doubles got(bias.size(), NAN);
    reference::relative_scores_backward(s, got.data(), slopes.data());
    EXPECT_AT_MOST(relative_error(got, finite_difference(
                                           [&](const Doubles& at) {
                                             Doubles table(numbers(s));
                                             reference::relative_scores_forward(s, table.data(), at.data());
                                             return dot(table, slopes);
                                           },
                                           bias)),
                   1e-9);
  }
}

TEST(RelativeScores, FollowTheReference) {
  for (const RelativeScores& s : shapes) {
    const auto bias = rounded<float>(random_doubles(2 * s.reach - 1, 1));
    auto slopes = rounded<float>(random_doubles(s.numbers(), 2));
    Doubles table(numbers(s)), dbias(bias.size());
    reference::relative_scores_forward(s, table.data(), bias.data());
    reference::relative_scores_backward(s, dbias.data(), slopes.data());
    Doubles read(numbers(s), NAN); // what lies further apart, or in no chunk, is not read
    each_pair(s, [&](std::int64_t i, std::int64_t j, std::size_t at) {
      if (std::abs(j - i) < s.reach)
        read[at] = slopes[at];
    });
    slopes = read;
    Guarded<float> from(test::stored<float>(bias)), d(test::stored<float>(slopes)), got(table.size()),
        got_dbias(bias.size());
    relative_scores_forward(s, got.data(), from.data());
    relative_scores_backward(s, got_dbias.data(), d.data());
    const Doubles made = widened(got.get());
    each_pair(s,
              [&](std::int64_t i, std::int64_t j, std::size_t at) { ASSERT_EQ(made[at], table[at]) << i << " " << j; });
    EXPECT_AT_MOST(relative_error(widened(got_dbias.get()), dbias), 2e-6) << s.length << " " << s.reach;
    EXPECT_TRUE(got.guards_survive() && got_dbias.guards_survive());
  }
}

TEST(RelativeScores, ShowNanOnItsOwnDiagonalOnly) {
  const RelativeScores s{6, 6};
  Doubles slopes(36, 1.0);
  slopes[2 * 6 + 5] = NAN; // 3 behind the query
  Guarded<float> d(test::stored<float>(slopes)), got(11);
  relative_scores_backward(s, got.data(), d.data());
  const Doubles dbias = widened(got.get());
  for (std::size_t i = 0; i < dbias.size(); ++i)
    EXPECT_EQ(std::isnan(dbias[i]), i == 5 + 3);
}

std::string bits() {
  test::Hash hash;
  for (const RelativeScores& s : shapes) {
    Guarded<float> d(test::stored<float>(random_doubles(s.numbers(), 2))),
        got(static_cast<std::size_t>(2 * s.reach - 1));
    relative_scores_backward(s, got.data(), d.data());
    hash.add(widened(got.get()));
  }
  return hash.text();
}

TEST(RelativeScoresBits, DISABLED_Print) { std::puts(bits().c_str()); }

TEST(RelativeScoresBits, DoNotDependOnTheNumberOfThreads) {
  test::expect_from_threads("RelativeScoresBits.DISABLED_Print", bits(), {1, 3, 4});
}

} // namespace
