#include "parallel/ranks.hpp"
#include "parallel/tree.hpp"
#include <gtest/gtest.h>
#include <random>

using namespace weft;

namespace {

/// The definition, word by word.
double node_value(const std::vector<double>& slots, std::int64_t first, std::int64_t span) {
  const auto n = static_cast<std::int64_t>(slots.size());
  if (span == 1)
    return slots[static_cast<std::size_t>(first)];
  const double left = node_value(slots, first, span / 2);
  return first + span / 2 < n ? left + node_value(slots, first + span / 2, span / 2) : left;
}

std::vector<double> numbers(std::int64_t n) {
  std::mt19937 generator(7);
  std::uniform_real_distribution<double> uniform(-1, 1);
  std::vector<double> values;
  for (std::int64_t i = 0; i < n; ++i)
    values.push_back(uniform(generator) * (i % 3 ? 1e-8 : 1e8));
  return values;
}

TEST(Tree, SumIsTheDefinedBinaryTree) {
  for (std::int64_t n = 1; n <= 40; ++n) {
    std::int64_t span = 1;
    while (span < n)
      span *= 2;
    EXPECT_EQ(tree_sum(numbers(n)), node_value(numbers(n), 0, span)) << n;
  }
}

TEST(Tree, SumHasTheSameBitsHoweverTheSlotsAreShared) {
  for (std::int64_t n : {1, 2, 3, 5, 6, 8, 12, 16, 23}) {
    const double whole = tree_sum(numbers(n));
    for (int ranks = 1; ranks <= n; ++ranks) {
      std::vector<double> values = numbers(n);
      const TreeMerge merge = [&](int into, int from) {
        values[static_cast<std::size_t>(into)] += values[static_cast<std::size_t>(from)];
      };
      // Each rank adds up its own slots, then the nodes that are left are merged in order.
      std::vector<TreeNode> nodes;
      std::vector<int> places;
      for (int r = 0; r < ranks; ++r) {
        const Share share = share_of(n, r, ranks);
        TreeStack own(n);
        for (std::int64_t slot = share.first; slot < share.last; ++slot)
          own.push({0, slot}, static_cast<int>(slot), merge);
        EXPECT_EQ(own.nodes(), tree_cover(share.first, share.last, n));
        nodes.insert(nodes.end(), own.nodes().begin(), own.nodes().end());
        places.insert(places.end(), own.places().begin(), own.places().end());
      }
      TreeStack all(n);
      for (std::size_t i = 0; i < nodes.size(); ++i)
        all.push(nodes[i], places[i], merge);
      ASSERT_EQ(all.nodes().size(), 1u);
      EXPECT_EQ(values[static_cast<std::size_t>(all.places().front())], whole) << n << " slots, " << ranks << " ranks";
    }
  }
}

TEST(Tree, WholeSubtreesNeedOneNodePerRank) {
  for (int r = 0; r < 4; ++r)
    EXPECT_EQ(tree_cover(4 * r, 4 * r + 4, 16).size(), 1u);
}

TEST(Share, CoversEverySlotOnce) {
  for (int ranks = 1; ranks <= 7; ++ranks) {
    std::int64_t next = 0;
    for (int r = 0; r < ranks; ++r) {
      EXPECT_EQ(share_of(20, r, ranks).first, next);
      next = share_of(20, r, ranks).last;
    }
    EXPECT_EQ(next, 20);
  }
}

} // namespace
