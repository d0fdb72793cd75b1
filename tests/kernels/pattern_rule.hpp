// A pattern against a rule, position by position; shared by the tests of builders.
#pragma once
#include "kernels/attention/pattern.hpp"
#include <functional>
#include <gtest/gtest.h>
#include <set>
#include <string>
#include <tuple>
#include <vector>

namespace weft::test {

using Predicate = std::function<bool(int i, int j)>;

inline std::vector<int> keys_by(const Predicate& sees, int length, int i) {
  std::vector<int> keys;
  for (int j = 0; j < length; ++j)
    if (sees(i, j))
      keys.push_back(j);
  return keys;
}

/// Key sets, counts, sorted lists without empty tiles, masks of both directions, and the transpose.
inline void expect_pattern(const Pattern& pattern, const Predicate& sees, const std::string& name) {
  SCOPED_TRACE(name);
  const int n = pattern.length;
  std::int64_t keys = 0;
  for (int i = 0; i < n; ++i) {
    const std::vector<int> want = keys_by(sees, n, i);
    ASSERT_EQ(keys_of(pattern, i), want) << "query " << i;
    keys += static_cast<std::int64_t>(want.size());
  }
  std::int64_t tiles = 0;
  for (const PatternPass& pass : pattern.passes)
    for (const Part& part : pass.parts) {
      const TileLists &rows = part.key_tiles, &columns = part.query_tiles;
      ASSERT_EQ(rows.begin.size(), static_cast<std::size_t>((n + 31) / 32 + 1));
      std::set<std::tuple<int, int, int>> listed, transposed;
      for (std::size_t t = 0; t + 1 < rows.begin.size(); ++t)
        for (auto e = rows.begin[t]; e < rows.begin[t + 1]; ++e) {
          listed.insert({static_cast<int>(t), rows.entries[e].tile, rows.entries[e].mask});
          if (e > rows.begin[t]) {
            EXPECT_LT(rows.entries[e - 1].tile, rows.entries[e].tile);
          }
        }
      for (std::size_t t = 0; t + 1 < columns.begin.size(); ++t)
        for (auto e = columns.begin[t]; e < columns.begin[t + 1]; ++e) {
          transposed.insert({columns.entries[e].tile, static_cast<int>(t), columns.entries[e].mask});
          if (e > columns.begin[t]) {
            EXPECT_LT(columns.entries[e - 1].tile, columns.entries[e].tile);
          }
        }
      EXPECT_EQ(listed, transposed);
      EXPECT_EQ(listed.size(), rows.entries.size());
      tiles += static_cast<std::int64_t>(rows.entries.size());
    }
  for (const TileMask& mask : pattern.masks) {
    std::uint32_t any = 0, all = ~0u;
    for (int i = 0; i < 32; ++i) {
      any |= mask.of_query[i];
      all &= mask.of_query[i];
      for (int j = 0; j < 32; ++j)
        ASSERT_EQ(mask.of_query[i] >> j & 1u, mask.of_key[j] >> i & 1u);
    }
    EXPECT_NE(any, 0u) << "an empty tile is listed";
    EXPECT_NE(all, ~0u) << "a full tile is marked partial";
  }
  EXPECT_EQ(pattern_work(pattern).keys, keys);
  EXPECT_EQ(pattern_work(pattern).tiles, tiles);
}

} // namespace weft::test
