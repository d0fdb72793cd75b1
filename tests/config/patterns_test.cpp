// Promise: [attention] means for every layer and head what docs/input.md says.
#include "model/patterns.hpp"
#include <functional>
#include <gmock/gmock.h>

using namespace weft;

namespace {

using Sees = std::function<bool(int query, int key)>;

Config small() {
  Config c;
  c.model.context = 50; // not a multiple of anything
  c.model.heads = 4;
  c.model.layers = 5;
  c.attention.stride = 8;
  c.attention.summary = 2;
  return c;
}

void expect_rule(const Pattern& pattern, const Sees& rule, const std::string& what) {
  for (int query = 0; query < 50; ++query) {
    std::vector<int> expected;
    for (int key = 0; key <= query; ++key)
      if (rule(query, key))
        expected.push_back(key);
    EXPECT_EQ(keys_of(pattern, query), expected) << what << ", query " << query;
  }
}

const Sees window = [](int i, int j) { return i - j < 8; };
const Sees column = [](int i, int j) { return (i - j) % 8 == 0; };
const Sees block = [](int i, int j) { return i / 8 == j / 8; };
Sees summary(int group) {
  return [group](int, int j) { return j % 8 >= 8 - 2 * (group + 1) && j % 8 < 8 - 2 * group; };
}
Sees either(Sees a, Sees b) {
  return [=](int i, int j) { return a(i, j) || b(i, j); };
}

} // namespace

TEST(Patterns, fixed_merged_gives_every_head_its_own_columns_or_shares_the_last) {
  Config c = small();
  for (int head = 0; head < 4; ++head)
    expect_rule(pattern_of(c, 3, head), either(block, summary(head)), "own");
  EXPECT_EQ(layer_choices(c, 0).size(), 4u);
  c.model.heads = 8; // four sub-blocks: head 4 is as head 0
  EXPECT_EQ(layer_choices(c, 0).size(), 4u);
  EXPECT_EQ(pattern_choice(c, 0, 5).group, 1);
  c.attention.shared_summary = true;
  EXPECT_EQ(layer_patterns(c, 0).size(), 1u);
  expect_rule(pattern_of(c, 0, 3), either(block, summary(0)), "shared");
}

TEST(Patterns, strided_interleaved_merged_heads_and_a_list) {
  Config c = small();
  c.attention.pattern = "strided";
  expect_rule(pattern_of(c, 0, 0), either(window, column), "merged");
  c.attention.combination = {"interleaved"};
  EXPECT_EQ(pattern_period(c), 2);
  for (int layer = 0; layer < 5; ++layer)
    expect_rule(pattern_of(c, layer, layer % 3), layer % 2 == 0 ? window : column, "interleaved");
  c.attention.combination = {"heads"};
  EXPECT_EQ(pattern_period(c), 1);
  EXPECT_EQ(layer_choices(c, 1).size(), 2u);
  for (int head = 0; head < 4; ++head)
    expect_rule(pattern_of(c, 1, head), head % 2 == 0 ? window : column, "heads");
  c.attention.combination = {"strided", "local", "local"};
  EXPECT_EQ(pattern_period(c), 3);
  for (int layer = 0; layer < 5; ++layer)
    expect_rule(pattern_of(c, layer, 0), layer % 3 == 0 ? column : window, "list");
}

TEST(Patterns, fixed_sets_dense_and_local) {
  Config c = small();
  c.attention.combination = {"block", "dense"};
  expect_rule(pattern_of(c, 2, 1), block, "block");
  expect_rule(
      pattern_of(c, 1, 1), [](int, int) { return true; }, "dense in a list");
  c.attention.combination = {"merged"};
  c.attention.pattern = "local";
  expect_rule(pattern_of(c, 0, 2), window, "local");
  c.attention.pattern = "dense";
  expect_rule(
      pattern_of(c, 0, 2), [](int, int) { return true; }, "dense");
}

TEST(Patterns, summary_alone_sees_its_columns) {
  Config c = small();
  c.attention.combination = {"interleaved"};
  const Pattern pattern = pattern_of(c, 1, 2);
  for (int query = 16; query < 50; ++query) // rows that have a key; an empty row is the engine's to define
    for (const int key : keys_of(pattern, query))
      EXPECT_TRUE(summary(2)(query, key));
  EXPECT_EQ(keys_of(pattern, 16).size(), 4u);
}
