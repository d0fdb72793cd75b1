// Promise: [attention] means for every layer and head what docs/input.md says.
#include "config/keys.hpp"
#include "config/patterns.hpp"
#include "documents.hpp"
#include "io/error.hpp"
#include "model/patterns.hpp"
#include <functional>
#include <gmock/gmock.h>
#include <set>

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

TEST(PatternTable, every_set_is_built_for_every_kind_of_task_and_looks_ahead_only_where_it_says_so) {
  for (const PatternRow& row : pattern_table()) {
    if (row.operation)
      continue;
    std::vector<PatternSet> sets = row.sets;
    EXPECT_EQ(row.sets.size() > 1, row.merged.has_value()) << row.name;
    if (row.merged)
      sets.push_back(*row.merged);
    for (const std::string task : {"next_token", "classify"})
      for (const PatternSet& set : sets) {
        Config c = small();
        c.attention.pattern = row.name;
        c.data.task = task;
        ASSERT_TRUE(set.causal || set.both_ways) << set.name;
        EXPECT_EQ(&pattern_set(c, set.name), &pattern_set(c, set.name));
        const KeySet& form = form_of(c, set);
        EXPECT_FALSE(form.sees.empty()) << set.name;
        const Pattern pattern = build_pattern(c, {set.name, 0}, 37);
        ASSERT_EQ(pattern.length, 37) << set.name;
        bool ahead = false;
        for (int i = 0; i < 37; ++i)
          for (const int j : keys_of(pattern, i))
            ahead = ahead || j > i;
        EXPECT_EQ(ahead, &form == &set.both_ways) << row.name << " " << set.name << " " << task;
        EXPECT_EQ(looks_ahead(c), ahead) << row.name << " " << set.name << " " << task;
      }
  }
}

TEST(PatternTable, keys_that_a_row_reads_are_keys_and_what_is_not_read_changes_nothing) {
  Config base = small();
  base.model.context = 130; // more than 7 blocks of 12 or 16: below that bigbird with one random block is dense
  base.attention.random = 1;
  std::set<std::string> of_attention;
  for (const Key& key : keys_of(base))
    if (key.section() == "attention")
      of_attention.insert(key.last());
  const auto lists = [](const Config& c) {
    std::vector<std::vector<int>> all;
    for (int head = 0; head < 4; ++head) {
      const Pattern pattern = pattern_of(c, 0, head);
      for (int i = 0; i < pattern.length; ++i)
        all.push_back(keys_of(pattern, i));
    }
    return all;
  };
  for (const PatternRow& row : pattern_table()) {
    for (const std::string& key : pattern_reads(row))
      EXPECT_EQ(of_attention.count(key), 1u) << row.name << " reads " << key;
    if (row.operation)
      continue; // no lists
    base.attention.pattern = row.name;
    Config other = base;
    other.attention.stride = 12; // still a multiple of the summary
    EXPECT_EQ(lists(other) != lists(base), testing::Value(pattern_reads(row), testing::Contains("stride"))) << row.name;
    other = base;
    other.attention.summary = 4;
    EXPECT_EQ(lists(other) != lists(base), testing::Value(pattern_reads(row), testing::Contains("summary")))
        << row.name;
    other = base;
    other.attention.window = 3;
    const bool ahead = row.name == "block_bidirectional";
    EXPECT_EQ(lists(other) != lists(base), !ahead && testing::Value(pattern_reads(row), testing::Contains("window")))
        << row.name;
  }
}

TEST(PatternTable, operations_ask_the_engine_for_the_keys_of_their_task_and_have_no_sets) {
  Config c = small();
  c.attention.pattern = "linformer";
  c.attention.projected = 3;
  EXPECT_TRUE(looks_ahead(c));
  EXPECT_THAT(keys_of(pattern_row("linformer").operation->keys(c, 50), 0), testing::ElementsAre(0, 1, 2));
  EXPECT_THROW(pattern_choice(c, 0, 0), InputError);
  c.attention.pattern = "synthesizer";
  EXPECT_FALSE(looks_ahead(c));
  EXPECT_THAT(keys_of(pattern_row("synthesizer").operation->keys(c, 50), 2), testing::ElementsAre(0, 1, 2));
  c.data.task = "classify";
  EXPECT_TRUE(looks_ahead(c));
  EXPECT_EQ(keys_of(pattern_row("synthesizer").operation->keys(c, 50), 2).size(), 50u);
}

TEST(PatternTable, dense_and_local_see_both_ways_where_the_task_does) {
  Config c = small();
  c.data.task = "classify";
  c.model.pooling = "mean";
  c.attention.pattern = "dense";
  EXPECT_EQ(keys_of(pattern_of(c, 0, 0), 0).size(), 50u);
  c.attention.pattern = "local";
  EXPECT_THAT(keys_of(pattern_of(c, 0, 0), 17), testing::ElementsAre(16, 17, 18, 19, 20, 21, 22, 23));
  EXPECT_THAT(keys_of(pattern_of(c, 0, 0), 48), testing::ElementsAre(48, 49));
  EXPECT_THROW(pattern_row("desne"), InputError);
  EXPECT_THROW(pattern_set(c, "summary"), InputError);
}

TEST(PatternTable, local_in_its_released_form_sees_every_position_of_its_residue) {
  Config c = small();
  c.data.task = "classify";
  c.model.family = "arena";
  c.attention.pattern = "local";
  c.attention.form = "lra"; // 50 positions in blocks of 8: 7 sets
  EXPECT_THAT(keys_of(pattern_of(c, 0, 0), 17), testing::ElementsAre(3, 10, 17, 24, 31, 38, 45));
  c.model.context = 48; // a multiple: a whole block behind it, 7 sets again
  EXPECT_THAT(keys_of(pattern_of(c, 0, 0), 47), testing::ElementsAre(5, 12, 19, 26, 33, 40, 47));
  c.model.family = "sparse_transformer"; // which has no forms
  EXPECT_FALSE(released_local(c));
}

TEST(PatternTable, docs_attention_md_has_it) {
  EXPECT_THAT(test::document("attention.md"), testing::HasSubstr("\n\n" + pattern_markdown() + "\n"))
      << "put there what `weft help --markdown attention.pattern` prints";
}
