// The key sets of every pattern, position by position, against the formulas and against the published block forms.
#include "tests/kernels/pattern_rule.hpp"
#include <chrono>
#include <numeric>
#include <stdexcept>

namespace weft {
namespace {

using test::expect_pattern;

bool is_summary(int j, int l, int c, int group) { return j % l >= l - (group + 1) * c && j % l < l - group * c; }

const int lengths[] = {1, 2, 5, 31, 32, 33, 64, 65, 100, 257, 384};
const int strides[] = {1, 2, 7, 12, 31, 32, 33, 96, 128, 300, 1000};

TEST(Pattern, DenseSeesEveryEarlierPosition) {
  for (const int n : lengths)
    expect_pattern(
        dense(n), [](int i, int j) { return j <= i; }, "dense " + std::to_string(n));
}

TEST(Pattern, DenseBidirectionalSeesEveryPosition) {
  for (const int n : lengths)
    expect_pattern(
        dense_bidirectional(n), [](int, int) { return true; }, "dense both ways " + std::to_string(n));
  EXPECT_EQ(pattern_work(dense_bidirectional(2000)).tiles, 63 * 63);
  EXPECT_THROW(dense_bidirectional(0), std::invalid_argument);
}

TEST(Pattern, LocalSeesExactlyTheLastKeys) {
  for (const int n : lengths)
    for (const int l : strides)
      expect_pattern(
          local(n, l), [l](int i, int j) { return j <= i && j > i - l; },
          "local " + std::to_string(n) + " " + std::to_string(l));
}

TEST(Pattern, StridedResiduesSeeTheirClass) {
  for (const int n : lengths)
    for (const int l : strides)
      expect_pattern(
          strided_residues(n, l), [l](int i, int j) { return j <= i && (i - j) % l == 0; },
          "residues " + std::to_string(n) + " " + std::to_string(l));
}

TEST(Pattern, StridedMergedIsTheUnion) {
  for (const int n : lengths)
    for (const int l : strides)
      expect_pattern(
          strided_merged(n, l), [l](int i, int j) { return j <= i && (j > i - l || (i - j) % l == 0); },
          "merged " + std::to_string(n) + " " + std::to_string(l));
}

TEST(Pattern, StridedMergedTakesAShorterWindow) {
  for (const int n : lengths)
    for (const int l : strides)
      for (const int w : {1, (l + 1) / 2, l})
        expect_pattern(
            strided_merged(n, l, w), [l, w](int i, int j) { return j <= i && (j > i - w || (i - j) % l == 0); },
            "merged " + std::to_string(n) + " " + std::to_string(l) + " window " + std::to_string(w));
  EXPECT_THROW(strided_merged(64, 8, 9), std::invalid_argument);
}

TEST(Pattern, BlockBidirectionalSeesItsWholeBlock) {
  for (const int n : lengths)
    for (const int l : strides) {
      const Pattern pattern = block_bidirectional(n, l);
      for (int i = 0; i < n; ++i) {
        std::vector<int> expected;
        for (int j = i / l * l; j < n && j / l == i / l; ++j)
          expected.push_back(j);
        ASSERT_EQ(keys_of(pattern, i), expected) << n << " " << l << " " << i;
      }
    }
}

TEST(Pattern, ResiduesBidirectionalSeeTheirWholeClass) {
  for (const int n : lengths)
    for (const int l : strides)
      expect_pattern(
          residues_bidirectional(n, l), [l](int i, int j) { return i % l == j % l; },
          "residues both ways " + std::to_string(n) + " " + std::to_string(l));
  EXPECT_EQ(pattern_work(residues_bidirectional(2048, 64)).tiles, 64); // classes of 32 slots, a tile each
  EXPECT_THROW(residues_bidirectional(0, 1), std::invalid_argument);
  EXPECT_THROW(residues_bidirectional(1, 0), std::invalid_argument);
}

TEST(Pattern, SortedBlocksAreSeenBesideTheOwnOneOrAlone) {
  for (const int n : lengths)
    for (const int l : {1, 7, 32, 50})
      for (const int cut : {0, 1, 2})
        for (const int gap : {0, 19}) {
          const int begin = n + gap;
          const auto allowed = [=](int i, int j) {
            if (i >= n || (j >= n && j < begin))
              return false;
            if (cut > 0)
              return j >= begin && (j - begin) / l < cut;
            return (j < n ? j : j - begin) / l == i / l;
          };
          expect_pattern(sorted_blocks(n, l, begin, cut), allowed,
                         "sorted " + std::to_string(n) + " " + std::to_string(l) + " " + std::to_string(cut));
        }
  // Blocks and sorted blocks on the tiles' grid: all tiles are full.
  EXPECT_TRUE(sorted_blocks(256, 64, 256).masks.empty());
  EXPECT_TRUE(sorted_blocks(256, 64, 256, 2).masks.empty());
  EXPECT_THROW(sorted_blocks(64, 8, 63), std::invalid_argument);
  EXPECT_THROW(sorted_blocks(64, 8, 64, -1), std::invalid_argument);
}

TEST(Pattern, DenseBidirectionalSeesAllInFullTiles) {
  for (const int n : lengths) {
    const Pattern pattern = dense_bidirectional(n);
    std::vector<int> all(static_cast<std::size_t>(n));
    std::iota(all.begin(), all.end(), 0);
    for (int i = 0; i < n; ++i)
      ASSERT_EQ(keys_of(pattern, i), all) << n << " " << i;
    EXPECT_EQ(pattern_work(pattern).keys, static_cast<std::int64_t>(n) * n);
  }
  EXPECT_TRUE(dense_bidirectional(64).masks.empty());
  EXPECT_THROW(dense_bidirectional(0), std::invalid_argument);
}

TEST(Pattern, FixedSetsAndTheirUnion) {
  for (const int n : lengths)
    for (const int l : strides) {
      const auto block = [l](int i, int j) { return j <= i && i / l == j / l; };
      expect_pattern(fixed_block(n, l), block, "block " + std::to_string(n) + " " + std::to_string(l));
      for (const int c : {1, 3, 8, 32, l})
        for (int group = 0; c <= l && group < summary_groups(l, c); group += 1 + group) {
          const auto summary = [=](int i, int j) { return j <= i && is_summary(j, l, c, group); };
          const std::string name = std::to_string(n) + " l=" + std::to_string(l) + " c=" + std::to_string(c) +
                                   " group=" + std::to_string(group);
          expect_pattern(fixed_summary(n, l, c, group), summary, "summary " + name);
          expect_pattern(
              fixed_merged(n, l, c, group), [&](int i, int j) { return block(i, j) || summary(i, j); },
              "fixed " + name);
        }
    }
}

// The forms that the authors' block-sparse code computes: blocks of b positions, a layout of blocks, a mask inside.

TEST(Pattern, LocalEqualsItsBlockForm) {
  const int n = 256, l = 32, b = 8;
  expect_pattern(
      local(n, l),
      [=](int i, int j) {
        const int q = i / b, k = j / b;
        return k >= q - l / b && k <= q && j <= i && j > i - l;
      },
      "local block form");
}

TEST(Pattern, ResiduesEqualBlockDiagonalAttentionAfterTheTranspose) {
  const int n = 384, l = 12, b = 8, m = n / l / b;
  const auto moved = [=](int i) { return i % l * (n / l) + i / l; };
  expect_pattern(
      strided_residues(n, l),
      [=](int i, int j) {
        const int q = moved(i) / b, k = moved(j) / b;
        return k >= q - q % m && k <= q && moved(j) <= moved(i);
      },
      "strided block form");
}

TEST(Pattern, FixedEqualsItsBlockFormWithFourHeadGroups) {
  const int n = 512, l = 64, c = 16, b = 8, per_block = l / b, groups = l / c, vertical = c / b;
  for (int group = 0; group < groups; ++group) {
    const auto active = [=](int q, int k) {
      const int from_end = (per_block - 1 - k % per_block) / vertical;
      return k <= q && (q / per_block == k / per_block || from_end == group);
    };
    int blocks = 0;
    for (int q = 0; q < n / b; ++q)
      for (int k = 0; k < n / b; ++k)
        blocks += active(q, k);
    EXPECT_EQ(blocks, 736);
    expect_pattern(
        fixed_merged(n, l, c, group), [=](int i, int j) { return active(i / b, j / b) && j <= i; }, "fixed block form");
  }
}

TEST(Pattern, CountsOfThePublishedSettings) {
  EXPECT_EQ(pattern_work(dense(12288)).keys, 75503616);
  EXPECT_EQ(pattern_work(local(12288, 128)).keys, 1564736);
  EXPECT_EQ(pattern_work(strided_residues(12288, 128)).keys, 595968);
  EXPECT_EQ(pattern_work(strided_merged(12288, 128)).keys, 2148416);
  EXPECT_EQ(pattern_work(fixed_block(12288, 128)).keys, 792576);
  EXPECT_EQ(pattern_work(fixed_summary(12288, 128, 32, 0)).keys, 18728448);
  EXPECT_EQ(pattern_work(fixed_merged(12288, 128, 32, 0)).keys, 19470336);
  EXPECT_EQ(pattern_work(dense(3072)).keys, 4720128);
  EXPECT_EQ(pattern_work(local(3072, 96)).keys, 290352);
  EXPECT_EQ(pattern_work(strided_residues(3072, 96)).keys, 50688);
  EXPECT_EQ(pattern_work(strided_merged(3072, 96)).keys, 337968);
  EXPECT_EQ(pattern_work(fixed_merged(3072, 96, 32, 0)).keys, 1672704);
}

TEST(Pattern, TilesOfThePublishedSettingsAreTheActiveBlocks) {
  EXPECT_EQ(pattern_work(dense(12288)).tiles, 73920);
  EXPECT_EQ(pattern_work(local(12288, 128)).tiles, 1910);
  EXPECT_EQ(pattern_work(strided_residues(12288, 128)).tiles, 768);
  EXPECT_EQ(pattern_work(fixed_merged(12288, 128, 32, 3)).tiles, 19200);
  EXPECT_EQ(pattern_work(strided_residues(3072, 96)).tiles, 96);
  EXPECT_EQ(pattern_work(fixed_merged(3072, 96, 32, 1)).tiles, 1680);
  // The window, and the residue classes without the query itself: all 768 tiles keep a pair.
  EXPECT_EQ(pattern_work(strided_merged(12288, 128)).tiles, 1910 + 768);
}

TEST(Pattern, ResiduesCostWhatTheirBlockDiagonalFormCostsForAnyLength) {
  for (const int n : {12288, 12289, 12345, 16384, 16421})
    for (const int l : {16, 100, 128}) {
      const std::int64_t tiles_per_class = (n / l + 1 + 31) / 32;
      const std::int64_t block_diagonal = l * tiles_per_class * (tiles_per_class + 1) / 2;
      EXPECT_LE(pattern_work(strided_residues(n, l)).tiles, block_diagonal * 3 / 2) << n << " " << l;
    }
}

TEST(Pattern, LawsBetweenPatterns) {
  const auto expect_same = [](const Pattern& a, const Pattern& b) {
    ASSERT_EQ(a.length, b.length);
    for (int i = 0; i < a.length; ++i)
      ASSERT_EQ(keys_of(a, i), keys_of(b, i));
  };
  for (const int n : lengths) {
    expect_same(local(n, n), dense(n));
    expect_same(local(n, n + 77), dense(n));
    expect_same(strided_residues(n, 1), dense(n));
    expect_same(strided_merged(n, 1), dense(n));
    expect_same(fixed_block(n, n), dense(n));
    for (const int l : strides)
      expect_same(fixed_merged(n, l, l, 0), dense(n));
  }
}

TEST(Pattern, LongPatternsAreBuiltInWellUnderASecond) {
  const auto seconds = [](const std::function<Pattern()>& build) {
    const auto start = std::chrono::steady_clock::now();
    EXPECT_GT(pattern_work(build()).keys, 0);
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  EXPECT_LT(seconds([] { return strided_merged(65536, 256); }), 1.0);
  EXPECT_LT(seconds([] { return strided_residues(65521, 100); }), 1.0);
  EXPECT_LT(seconds([] { return local(65536, 256); }), 1.0);
  EXPECT_LT(seconds([] { return fixed_merged(65536, 256, 32, 1); }), 1.0);
  EXPECT_LT(seconds([] { return dense(16384); }), 1.0);
}

TEST(Pattern, WrongArgumentsAreRefused) {
  EXPECT_THROW(dense(0), std::invalid_argument);
  EXPECT_THROW(local(10, 0), std::invalid_argument);
  EXPECT_THROW(strided_residues(10, 0), std::invalid_argument);
  EXPECT_THROW(fixed_summary(10, 4, 5, 0), std::invalid_argument);
  EXPECT_THROW(fixed_merged(10, 4, 2, 2), std::invalid_argument);
  EXPECT_THROW(keys_of(dense(4), 4), std::out_of_range);
}

} // namespace
} // namespace weft
