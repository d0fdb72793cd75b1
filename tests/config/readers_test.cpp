// Promise: a key that is set and that nothing reads is an error with file and line, and no sound input meets it.
#include "config/parse.hpp"
#include "config/patterns.hpp"
#include "config/readers.hpp"
#include "config/resolved.hpp"
#include <gmock/gmock.h>

using namespace weft;
using testing::HasSubstr;

namespace {

const std::string strided = "[training]\nsteps = 10\n[attention]\npattern = 'strided'\n"; // four lines

std::string complaint(const std::string& text, const std::vector<std::string>& overrides = {}) {
  try {
    load_config_text(text, "a.toml", overrides, DataCheck::skipped);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

} // namespace

TEST(Readers, an_unread_key_is_told_with_file_line_and_what_would_read_it) {
  EXPECT_EQ(complaint(strided + "summary = 8\n"),
            "a.toml:5: attention.summary: is set and nothing reads it: attention.pattern = \"strided\" reads stride, "
            "window; expected pattern fixed or sparse, or summary = 32");
  EXPECT_THAT(complaint(strided + "summary = 8\n[schedule]\npeak_at = 0.5\n"), HasSubstr("2 problems"));
  EXPECT_EQ(complaint(strided + "summary = 32\nwindow = 3\n"), "") << "a default changes nothing";
  EXPECT_THAT(complaint("[training]\nsteps = 1\n[attention]\npattern = 'dense'\nwindow = 4\n"),
              HasSubstr("reads no other key"));
}

TEST(Readers, a_file_is_judged_as_it_stands_and_the_command_line_with_it) {
  const std::string fixed = "[training]\nsteps = 10\n[attention]\npattern = 'fixed'\nsummary = 8\n";
  EXPECT_EQ(complaint(fixed, {"attention.pattern=strided"}), "")
      << "the file is sound, and another pattern is asked for";
  EXPECT_EQ(complaint(strided + "summary = 8\n", {"attention.pattern=fixed"}), "") << "read in the end";
  EXPECT_THAT(complaint(fixed, {"attention.pattern=strided", "attention.summary=4"}),
              HasSubstr("command line: attention.summary: is set and nothing reads it"));
}

TEST(Readers, one_mistake_makes_one_message) {
  EXPECT_EQ(complaint("[training]\nsteps = 1\n[attention]\npattern = 'stride'\nsummary = 8\n"),
            "a.toml:4: attention.pattern: got \"stride\", expected one of " + joined(pattern_names(), ", ") +
                "; did you mean strided?");
}

TEST(Readers, a_resolved_file_starts_again_whatever_its_keys_are_read_by) {
  const LoadedConfig loaded = load_config_text("[training]\nsteps = 10\n[attention]\nsummary = 8\n", "a.toml",
                                               {"attention.pattern=strided"}, DataCheck::skipped);
  EXPECT_EQ(loaded.config.attention.summary, 8);
  const std::string text = to_toml(loaded.config);
  EXPECT_EQ(complaint(text), "");
  EXPECT_EQ(complaint(text, {"attention.pattern=dense"}), "");
  EXPECT_THAT(complaint(text, {"attention.summary=4"}), HasSubstr("command line: attention.summary: is set"));
}

TEST(Readers, conditions_name_keys_and_values_that_there_are) {
  Config config;
  const Readers readers(config);
  for (const Key& key : readers.keys())
    for (const Reader& reader : key.of) {
      EXPECT_FALSE(reader.empty()) << key.name;
      for (const Condition& condition : reader) {
        const Key& other = readers.key(condition.key);
        EXPECT_FALSE(condition.values.empty()) << key.name;
        for (const std::string& value : condition.values) {
          if (other.limits.words.empty())
            continue;
          EXPECT_THAT(other.limits.words, testing::Contains(value)) << key.name << " by " << other.name;
        }
      }
      EXPECT_THAT(readers_text(key, key.section()), testing::Not(testing::IsEmpty()));
    }
  EXPECT_THROW(readers.read("model.widht"), InputError);
}

TEST(Readers, what_decides_must_be_read_itself) {
  Config config;
  EXPECT_TRUE(is_read(config, "model.position_shape"));
  EXPECT_FALSE(is_read(config, "model.positions"));
  config.model.family = "arena";
  config.model.positions = "learned";
  config.attention.pattern = "dense";
  EXPECT_TRUE(is_read(config, "model.positions"));
  EXPECT_FALSE(is_read(config, "attention.stride")) << "no pattern and no position table reads it";
  config.attention.pattern = "local";
  EXPECT_TRUE(is_read(config, "attention.stride"));
}

TEST(Resolved, differences_of_attention_are_those_of_keys_that_are_read) {
  Config a, b;
  a.model.position_shape = b.model.position_shape = {32, 32};
  b.attention.summary = 8;
  EXPECT_THAT(differences(a, b, Shapes::attention, "trained with", "used"),
              testing::ElementsAre("attention.summary: trained with 32, used 8"));
  a.attention.pattern = b.attention.pattern = "strided";
  EXPECT_TRUE(differences(a, b, Shapes::attention, "trained with", "used").empty());
  b.attention.combination = {"local", "strided"};
  EXPECT_THAT(differences(a, b, Shapes::attention, "trained with", "used"),
              testing::ElementsAre("attention.combination: trained with merged, used local, strided"));
}

Config classifier() {
  Config c;
  c.model.family = "arena";
  c.data.task = "classify";
  return c;
}

TEST(Resolved, learned_positions_and_heads_of_classifiers_are_parameters) {
  Config a = classifier();
  a.model.positions = "learned";
  Config b = a;
  b.model.context = 512;
  b.model.head_width = 7;
  b.model.half_size = true; // not read
  EXPECT_THAT(model_differences(a, b),
              testing::ElementsAre("model.head_width: saved 0, asked for 7",
                                   "model.context (a learned vector for every position): saved 1024, asked for 512"));
}

TEST(Resolved, projections_of_global_positions_are_parameters) {
  Config dense = classifier();
  dense.attention.pattern = "dense";
  Config paper = dense;
  paper.attention.pattern = "longformer";
  Config lra = paper, none = paper, causal = paper;
  lra.attention.form = "lra";
  none.attention.global = 0;
  causal.data.task = "next_token";
  EXPECT_THAT(model_differences(dense, paper),
              testing::ElementsAre(testing::HasSubstr("saved not there, asked for there")));
  EXPECT_THAT(model_differences(lra, none),
              testing::ElementsAre(testing::HasSubstr("saved there, asked for not there")));
  EXPECT_TRUE(model_differences(paper, lra).empty());
  EXPECT_TRUE(model_differences(dense, none).empty());
  EXPECT_FALSE(has_global_projections(causal));
}
