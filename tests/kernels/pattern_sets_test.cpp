// The key sets of Sparse, Longformer and BigBird, position by position, against their formulas and published tables.
#include "io/digest.hpp"
#include "kernels/attention/patterns/big_bird.hpp"
#include "tests/kernels/pattern_rule.hpp"
#include <gmock/gmock.h>
#include <numeric>

namespace weft {
namespace {

using test::expect_pattern;
using testing::ElementsAre;

const int lengths[] = {1, 2, 5, 31, 32, 33, 64, 65, 100, 257};
const int strides[] = {1, 2, 7, 32, 33, 50, 300};

void expect_same(const Pattern& a, const Pattern& b) {
  ASSERT_EQ(a.length, b.length);
  for (int i = 0; i < a.length; ++i)
    ASSERT_EQ(keys_of(a, i), keys_of(b, i)) << "query " << i;
}

TEST(SparsePattern, SeesItsBlockAndTheSummaryColumnsBothWays) {
  for (const int n : lengths)
    for (const int l : strides)
      for (const int c : {1, 10, l})
        for (const int kind : {0, 1, 2}) {
          if (c > l)
            continue;
          const FirstSlot first{kind == 2, kind > 0}; // none, the first token, a vector in front
          const int shift = first.in_front ? 1 : 0;
          expect_pattern(
              sparse_both_ways(n, l, c, first),
              [&](int i, int j) {
                if (first.open && (i == 0 || j == 0))
                  return true;
                const int q = i - shift, k = j - shift;
                return q / l == k / l || k % l >= l - c;
              },
              "sparse " + std::to_string(n) + " l=" + std::to_string(l) + " c=" + std::to_string(c) + " first " +
                  std::to_string(kind));
        }
}

TEST(SparsePattern, OfTheReleasedCodeIsCausalBehindAnOpenFirstSlot) {
  for (const int n : lengths)
    for (const int l : strides)
      for (const int c : {1, 10, l})
        for (const bool first : {false, true}) {
          if (c > l)
            continue;
          expect_pattern(
              sparse_released(n, l, c, first),
              [&](int i, int j) {
                if (first && (i == 0 || j == 0))
                  return true;
                const int q = i - (first ? 1 : 0), k = j - (first ? 1 : 0);
                return k <= q && (q / l == k / l || k % l == 0 || k % l >= l - c);
              },
              "sparse, released " + std::to_string(n) + " l=" + std::to_string(l) + " c=" + std::to_string(c));
        }
}

TEST(SparsePattern, OfOneBlockOrOfSummaryColumnsAloneIsDense) {
  for (const int n : lengths) {
    expect_same(sparse_both_ways(n, 300, 1, {}), dense_bidirectional(n));
    expect_same(sparse_both_ways(n, 7, 7, {true, true}), dense_bidirectional(n));
    expect_same(sparse_released(n, 300, 1, false), dense(n));
    expect_same(block_bidirectional(n, n), dense_bidirectional(n));
  }
}

TEST(SparsePattern, GathersItsSummaryColumns) {
  // 2,001 slots of blocks of 50: the 40 x 10 columns are 13 tiles and not the 63 that they lie in.
  const PatternWork work = pattern_work(sparse_both_ways(2001, 50, 10, {true, true}));
  EXPECT_LT(work.tiles, 63 * (13 + 5));
  EXPECT_EQ(work.keys, 2001 + 2000 * (1 + 50 + 39 * 10));
}

std::function<bool(int, int)> window_rule(const SlidingWindow& w) {
  return [w](int i, int j) {
    const int d = w.dilation;
    return i < w.global || j < w.global || ((j - i) % d == 0 && (j - i) >= -w.left * d && (j - i) <= w.right * d);
  };
}

TEST(LongformerPattern, SeesItsWindowAndTheGlobalPositions) {
  for (const int n : lengths)
    for (const auto& [left, right] : {std::pair{0, 0}, {3, 3}, {20, 0}, {31, 32}, {64, 64}, {300, 300}})
      for (const int dilation : {1, 2, 7, 300})
        for (const int global : {0, 1, 2, 40, 300}) {
          const SlidingWindow w{left, right, dilation, global};
          const std::string name = std::to_string(n) + " window " + std::to_string(left) + "+" + std::to_string(right) +
                                   " dilation " + std::to_string(dilation) + " global " + std::to_string(global);
          const auto sees = window_rule(w);
          expect_pattern(longformer(n, w), sees, "longformer " + name);
          expect_pattern(
              longformer_local(n, w), [&](int i, int j) { return i >= global && sees(i, j); }, "local rows " + name);
          expect_pattern(
              global_rows(n, global), [&](int i, int) { return i < global; }, "global rows " + name);
        }
}

TEST(LongformerPattern, OfAWindowOverAllIsDense) {
  for (const int n : lengths) {
    expect_same(longformer(n, {n, n, 1, 1}), dense_bidirectional(n));
    expect_same(longformer(n, {1 << 30, 1 << 30, 1, 0}), dense_bidirectional(n));
    expect_same(longformer(n, {1 << 30, 0, 1, 0}), dense(n));
    expect_same(longformer(n, {19, 0, 1, 0}), local(n, 20));
  }
  EXPECT_EQ(pattern_work(longformer(4096, {256, 256, 1, 0})).keys, 4096 * 513 - 256 * 257);
}

TEST(LongformerPattern, ADilationCostsNoMoreTilesThanItsWindow) {
  const std::int64_t plain = pattern_work(longformer(4096, {32, 32, 1, 0})).tiles;
  EXPECT_LE(pattern_work(longformer(4096, {32, 32, 4, 0})).tiles, plain);
}

/// The table as the published digests take it: 32-bit integers, least byte first.
std::string digest_of(const std::vector<int>& table) {
  static_assert(sizeof(int) == 4);
  return sha256(table.data(), table.size() * sizeof(int)).substr(0, 16);
}

BigBird released(int layer, int heads, int head = 0) { return {64, 3, BigBirdForm::released, layer, heads, head}; }

TEST(BigBirdTables, AreThoseOfNumpysGenerator) {
  struct Vector {
    int length, heads; ///< of the model; the released code pads it
    const char *layer0, *layer1;
  };
  for (const Vector& v : {Vector{1001, 4, "8f87739d5fd0168d", "489cf368ffe3b998"},
                          Vector{2001, 8, "ee085570ec7aabd9", "bbd4abf8f4b01569"},
                          Vector{4000, 4, "0e780a0217761804", "0e54c9b017357ec0"},
                          Vector{1025, 1, "86ed940035635c6a", "b6e2737bf8641bc9"},
                          Vector{1024, 2, "7a4abcf9884a9b0f", "bf118679411ad41b"}}) {
    EXPECT_EQ(digest_of(big_bird_random_blocks(v.length, released(0, v.heads))), v.layer0) << v.length;
    EXPECT_EQ(digest_of(big_bird_random_blocks(v.length, released(1, v.heads))), v.layer1) << v.length;
  }
  const std::vector<int> text = big_bird_random_blocks(1001, released(0, 4));
  ASSERT_EQ(text.size(), 4u * 14 * 3);
  EXPECT_THAT(std::vector<int>(text.begin(), text.begin() + 9), ElementsAre(9, 14, 7, 9, 6, 7, 9, 5, 14));
  EXPECT_THAT(std::vector<int>(text.begin() + 39, text.begin() + 42), ElementsAre(8, 9, 7));
}

/// Per row: no block twice, and none that the row sees anyway.
void expect_no_repeats(int whole, const BigBird& b) {
  const std::vector<int> table = big_bird_random_blocks(whole, b);
  const int blocks = big_bird_blocks(whole, b.block, b.form), r = b.random;
  ASSERT_EQ(table.size(), static_cast<std::size_t>(b.heads * (blocks - 2) * r));
  for (int head = 0; head < b.heads; ++head)
    for (int q = 1; q < blocks - 1; ++q) {
      std::set<int> seen = {0, q - 1, q, q + 1, blocks - 1};
      const std::size_t others = seen.size();
      for (int s = 0; s < r; ++s) {
        const int k = table[static_cast<std::size_t>((head * (blocks - 2) + q - 1) * r + s)];
        EXPECT_GE(k, 1);
        EXPECT_LE(k, blocks - 2);
        seen.insert(k);
      }
      EXPECT_EQ(seen.size(), others + static_cast<std::size_t>(r)) << whole << " row " << q;
    }
}

TEST(BigBirdTables, NoRowDrawsABlockTwiceOrOneThatItSees) {
  for (const int whole : {512, 600, 1000, 1024, 1025, 1087, 1088, 1100, 2001, 4000, 16384})
    expect_no_repeats(whole, released(2, 3));
  for (const int whole : {705, 768, 1000, 1024, 1025, 2000, 3072, 4000, 4096, 16384})
    expect_no_repeats(whole, {64, 3, BigBirdForm::paper, 1, 3});
  expect_no_repeats(300, {8, 5, BigBirdForm::paper, 0, 2});
  expect_no_repeats(300, {8, 5, BigBirdForm::released, 0, 2});
}

TEST(BigBirdTables, ThePlanDrawsFromTheFirstBlocksInOnePermutationEach) {
  // From NumPy: seed 5; permutation(11) for row 1 of both heads, then row 2 of both.
  const std::vector<int> table = big_bird_random_blocks(768, {64, 3, BigBirdForm::paper, 5, 2});
  ASSERT_EQ(table.size(), 2u * 10 * 3);
  for (const int k : table)
    EXPECT_LE(k, 9);
  EXPECT_THAT(std::vector<int>(table.begin(), table.begin() + 6), ElementsAre(5, 8, 4, 9, 8, 7));
  EXPECT_THAT(std::vector<int>(table.begin() + 30, table.begin() + 36), ElementsAre(6, 8, 3, 4, 8, 9));
}

TEST(BigBirdTables, AreRefusedWhereARowHasTooFewCandidates) {
  EXPECT_TRUE(big_bird_fits(448, released(0, 1)));
  EXPECT_FALSE(big_bird_fits(447, released(0, 1)));
  EXPECT_FALSE(big_bird_fits(4096, {64, 15, BigBirdForm::paper}));
  EXPECT_THROW(big_bird(447, 447, released(0, 1)), std::invalid_argument);
  EXPECT_TRUE(big_bird_fits(10, {64, 3, BigBirdForm::paper})); // dense
}

std::function<bool(int, int)> big_bird_rule(int whole, const BigBird& b) {
  const int blocks = big_bird_blocks(whole, b.block, b.form);
  const std::vector<int> table = big_bird_random_blocks(whole, b);
  return [=](int i, int j) {
    const int q = i / b.block, k = j / b.block;
    if (q == 0 || q == blocks - 1 || k == 0 || k == blocks - 1 || std::abs(q - k) <= 1)
      return true;
    for (int s = 0; s < b.random; ++s)
      if (table[static_cast<std::size_t>((b.head * (blocks - 2) + q - 1) * b.random + s)] == k)
        return true;
    return false;
  };
}

TEST(BigBirdPattern, SeesGlobalWindowAndRandomBlocksInBothForms) {
  for (const int b : {4, 8, 20})
    for (const int r : {0, 1, 3})
      for (const int whole : {20 * b - 3, 20 * b, 31 * b + 1})
        for (const BigBirdForm form : {BigBirdForm::paper, BigBirdForm::released})
          for (const int length : {whole, whole - b - 2}) {
            const BigBird sizes{b, r, form, 1, 2, 1};
            expect_pattern(big_bird(length, whole, sizes), big_bird_rule(whole, sizes),
                           "b=" + std::to_string(b) + " r=" + std::to_string(r) + " of " + std::to_string(whole));
          }
  EXPECT_EQ(pattern_work(big_bird(1024, 1024, {64, 3})).keys, 64 * 64 * (2 * 16 + 2 * 7 + 12 * 8));
}

TEST(BigBirdPattern, OfTheReleasedCodeEndsInAWholeBlockOfPadding) {
  // 1,024 positions are padded to 1,088: the last block, which all see, holds no position.
  const Pattern pattern = big_bird(1024, 1024, released(0, 1));
  EXPECT_EQ(keys_of(pattern, 8 * 64).size(), 64u * (1 + 3 + 3));
  EXPECT_EQ(keys_of(big_bird(1025, 1025, released(0, 1)), 8 * 64).size(), 64u * (1 + 3 + 3) + 1);
}

TEST(BigBirdPattern, OfThePaperIsDenseUpToItsLimit) {
  const BigBird sizes{8, 3};
  expect_same(big_bird(88, 88, sizes), dense_bidirectional(88));
  expect_same(big_bird(30, 80, sizes), dense_bidirectional(30));
  EXPECT_LT(pattern_work(big_bird(89, 89, sizes)).keys, 89 * 89);
  expect_same(big_bird(20, 20, {4, 0}), dense_bidirectional(20));
  expect_same(big_bird(50, 50, {200, 3}), dense_bidirectional(50));
}

TEST(BigBirdPattern, DiffersByHeadAndLayer) {
  const auto of = [](int layer, int head) { return big_bird(1024, 1024, {64, 3, BigBirdForm::paper, layer, 4, head}); };
  const auto lists = [](const Pattern& pattern) {
    std::vector<std::vector<int>> all;
    for (int i = 0; i < pattern.length; i += 64)
      all.push_back(keys_of(pattern, i));
    return all;
  };
  EXPECT_NE(lists(of(0, 0)), lists(of(0, 1)));
  EXPECT_NE(lists(of(0, 0)), lists(of(1, 0)));
}

TEST(SetPatterns, WrongArgumentsAreRefused) {
  EXPECT_THROW(sparse_both_ways(0, 4, 1, {}), std::invalid_argument);
  EXPECT_THROW(sparse_released(10, 4, 5, true), std::invalid_argument);
  EXPECT_THROW(longformer(10, {-1, 0}), std::invalid_argument);
  EXPECT_THROW(longformer(10, {1, 1, 0}), std::invalid_argument);
  EXPECT_THROW(big_bird(10, 9, {}), std::invalid_argument);
  EXPECT_THROW(big_bird(2000, 2000, {64, 3, BigBirdForm::paper, 0, 2, 2}), std::invalid_argument);
}

} // namespace
} // namespace weft
