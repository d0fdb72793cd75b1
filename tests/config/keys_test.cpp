// Promise: one table holds every key, and what is written anywhere about keys comes from it.
#include "commands/help.hpp"
#include "config/keys.hpp"
#include "documents.hpp"
#include "io/error.hpp"
#include <algorithm>
#include <gmock/gmock.h>
#include <set>

using namespace weft;
using testing::HasSubstr;

namespace {

struct Anything {
  template <class T>
  operator T() const;
};

/// Members of an aggregate: the largest number of values it can be made from.
template <class T, class... Values>
constexpr std::size_t members() {
  if constexpr (requires { T{Values{}..., Anything{}}; })
    return members<T, Values..., Anything>();
  else
    return sizeof...(Values);
}

} // namespace

TEST(Keys, every_member_of_Config_has_one_key) {
  Config c;
  const std::size_t expected =
      members<decltype(c.run)>() + members<decltype(c.data)>() + members<decltype(c.model)>() +
      members<decltype(c.attention)>() + members<decltype(c.loss)>() + members<decltype(c.optimizer)>() +
      members<decltype(c.schedule)>() + members<decltype(c.training)>() + members<decltype(c.checkpoint)>() +
      members<decltype(c.evaluation)>() + members<decltype(c.parallel)>() + members<decltype(c.log)>() +
      members<decltype(c.energy)>() + members<decltype(c.debug)>();
  EXPECT_EQ(members<Config>(), section_names().size());
  std::set<const void*> pointers;
  for (const Key& key : keys_of(c))
    std::visit([&](auto* member) { pointers.insert(member); }, key.value);
  EXPECT_EQ(pointers.size(), expected) << "a member without a key";
  EXPECT_EQ(keys_of(c).size(), expected) << "two keys for one member";
}

TEST(Keys, names_are_unique_and_described_and_sections_stay_together) {
  Config config;
  std::set<std::string> names;
  std::vector<std::string> sections;
  for (const Key& key : keys_of(config)) {
    EXPECT_TRUE(names.insert(key.name).second) << key.name;
    EXPECT_FALSE(key.help.empty()) << key.name;
    EXPECT_EQ(std::count(key.name.begin(), key.name.end(), '.'), 1) << key.name;
    if (sections.empty() || sections.back() != key.section())
      sections.push_back(key.section());
  }
  EXPECT_EQ(sections, section_names());
  EXPECT_THAT(sections,
              testing::ElementsAre("run", "data", "model", "attention", "loss", "optimizer", "schedule", "training",
                                   "checkpoint", "evaluation", "parallel", "log", "energy", "debug"));
}

TEST(Keys, every_default_is_within_its_limits) {
  Config config;
  for (const Key& key : keys_of(config))
    EXPECT_EQ(limits_violation(key), "") << key.name;
}

TEST(Keys, distance_counts_insertions_deletions_changes_and_swaps) {
  EXPECT_EQ(edit_distance("", "abc"), 3);
  EXPECT_EQ(edit_distance("abc", "abc"), 0);
  EXPECT_EQ(edit_distance("width", "widht"), 1);
  EXPECT_EQ(edit_distance("layer", "layers"), 1);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3);
}

TEST(Keys, nearest_key_is_found_in_its_section_first_and_then_in_others) {
  EXPECT_EQ(nearest_key("model.widht"), "model.width");
  EXPECT_EQ(nearest_key("modle.width"), "model.width");
  EXPECT_EQ(nearest_key("training.learning_rate"), "optimizer.learning_rate");
  EXPECT_EQ(nearest_key("evaluation.every_step"), "evaluation.every_steps");
  EXPECT_EQ(nearest_key("log.every_step"), "log.every_steps");
  EXPECT_EQ(nearest_key("dropout"), "model.dropout");
  EXPECT_EQ(nearest_key("model.zzzzzzzz"), "");
}

TEST(Help, a_key_a_section_a_prefix_and_a_misspelt_name) {
  EXPECT_THAT(help_text("model.dropout"), HasSubstr("[0, 1)"));
  EXPECT_THAT(help_text("attention"), HasSubstr("shared_summary"));
  EXPECT_THAT(help_text("att"), HasSubstr("combination"));
  EXPECT_THAT(help_text("warmup"), HasSubstr("schedule.warmup_steps"));
  Config config;
  for (const Key& key : keys_of(config))
    EXPECT_THAT(help_text(""), HasSubstr(key.last() + " = " + value_text(key)));
  try {
    help_text("model.drpout");
    FAIL() << "accepted";
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), HasSubstr("did you mean model.dropout?"));
  }
}

TEST(Help, docs_input_md_is_what_the_table_says) {
  const std::string text = test::document("input.md");
  EXPECT_EQ(text, help_markdown()) << "run: weft help --markdown > docs/input.md";
  Config config;
  for (const Key& key : keys_of(config))
    EXPECT_THAT(text, HasSubstr("| `" + key.last() + "` |"));
}
