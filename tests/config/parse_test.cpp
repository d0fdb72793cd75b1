// Promise: wrong input of every kind is told, all at once, with file, line and the nearest key.
#include "config/keys.hpp"
#include "config/parse.hpp"
#include "config/resolved.hpp"
#include "io/shards.hpp"
#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>

using namespace weft;
using testing::HasSubstr;
using testing::Not;

namespace {

const std::string sound = "[training]\nsteps = 10\n"; // two lines that make a sound input

LoadedConfig load(const std::string& text, const std::vector<std::string>& overrides = {}) {
  return load_config_text(text, "a.toml", overrides, DataCheck::skipped);
}

/// The text of the InputError; "" if the input was accepted.
std::string complaint(const std::string& text, const std::vector<std::string>& overrides = {}) {
  try {
    load(text, overrides);
  } catch (const InputError& error) {
    EXPECT_EQ(error.status, exit_input);
    return error.what();
  }
  return "";
}

} // namespace

TEST(Parse, a_sound_file_sets_keys_and_remembers_where) {
  const LoadedConfig loaded = load("[model]\nwidth = 64\nheads = 4\n\n[training]\nsteps = 10\n");
  EXPECT_EQ(loaded.config.model.width, 64);
  EXPECT_EQ(loaded.config.model.heads, 4);
  EXPECT_EQ(loaded.config.model.layers, Config{}.model.layers);
  EXPECT_EQ(loaded.origins.at("model.heads").line, 3);
  EXPECT_EQ(loaded.origins.at("training.steps").text(), "a.toml:6");
  EXPECT_EQ(loaded.origins.count("model.layers"), 0u);
}

TEST(Parse, every_type_is_taken) {
  const Config c = load("[run]\nfresh = true\nname = 'x'\n[optimizer]\nlearning_rate = 1\nclip = 0.5\n"
                        "[model]\nposition_shape = [32, 32]\n[attention]\ncombination = ['block', 'merged']\n" +
                        sound)
                       .config;
  EXPECT_TRUE(c.run.fresh);
  EXPECT_EQ(c.run.name, "x");
  EXPECT_EQ(c.optimizer.learning_rate, 1.0); // an integer where a number is declared
  EXPECT_EQ(c.optimizer.clip, 0.5);
  EXPECT_THAT(c.model.position_shape, testing::ElementsAre(32, 32));
  EXPECT_THAT(c.attention.combination, testing::ElementsAre("block", "merged"));
  EXPECT_THAT(load("attention.combination = 'heads'\n" + sound).config.attention.combination,
              testing::ElementsAre("heads"));
}

TEST(Parse, an_unknown_key_names_line_and_nearest_key) {
  EXPECT_EQ(complaint("[model]\nwidht = 64\n" + sound),
            "a.toml:2: model.widht: unknown key; did you mean model.width?");
  EXPECT_THAT(complaint(sound + "learning_rate = 1.0\n"),
              HasSubstr("a.toml:3: training.learning_rate: unknown key; did you mean optimizer.learning_rate?"));
  EXPECT_THAT(complaint("[model.width]\nx = 1\n" + sound),
              HasSubstr("model.width: got a section, expected an integer"));
}

TEST(Parse, an_unknown_section_a_key_outside_and_a_section_that_is_none) {
  EXPECT_EQ(complaint("[optimiser]\nclip = 1\n" + sound),
            "a.toml:1: [optimiser]: unknown section; did you mean [optimizer]?");
  EXPECT_THAT(complaint("width = 64\n" + sound),
              HasSubstr("a.toml:1: width: got a key outside every section; did you mean "
                        "model.width?"));
  EXPECT_THAT(complaint("model = 3\n" + sound),
              HasSubstr("a.toml:1: model: got 3 (an integer), expected a section [model]"));
}

TEST(Parse, wrong_types_are_told_with_what_was_expected) {
  EXPECT_THAT(complaint("[model]\nlayers = 'six'\n" + sound),
              HasSubstr("a.toml:2: model.layers: got 'six' (text), expected an integer in [1, 10000]"));
  EXPECT_THAT(complaint("[model]\nlayers = 6.0\n" + sound), HasSubstr("(a number), expected an integer in [1, 10000]"));
  EXPECT_THAT(complaint("[model]\nhalf_size = 1\n" + sound), HasSubstr("got 1 (an integer), expected true or false"));
  EXPECT_THAT(complaint("[run]\nname = 3\n" + sound), HasSubstr("got 3 (an integer), expected text in quotes"));
  EXPECT_THAT(complaint("[model]\ndropout = [0.1]\n" + sound), HasSubstr("(a list), expected a number in [0, 1)"));
  EXPECT_THAT(complaint("[model]\nposition_shape = [32, 3.5]\n" + sound),
              HasSubstr("expected a list of integers, each >= 1"));
  EXPECT_THAT(complaint("[run]\nseed = 2024-01-01\n" + sound), HasSubstr("a date or time"));
}

TEST(Parse, values_out_of_range_are_told_with_the_range) {
  EXPECT_THAT(complaint("[model]\ndropout = 1.0\n" + sound), HasSubstr("got 1.0, expected a number in [0, 1)"));
  EXPECT_THAT(complaint("[model]\nheads = 0\n" + sound), HasSubstr("got 0, expected an integer >= 1"));
  EXPECT_THAT(complaint("[optimizer]\nlearning_rate = 0\n" + sound), HasSubstr("got 0.0, expected a number > 0"));
  EXPECT_THAT(complaint("[optimizer]\nbeta2 = nan\n" + sound), HasSubstr("got nan"));
  EXPECT_THAT(complaint("[optimizer]\nclip = inf\n" + sound), HasSubstr("got inf"));
  EXPECT_THAT(complaint("[model]\nvocabulary = 65536\n" + sound), HasSubstr("expected an integer in [2, 65535]"));
  EXPECT_THAT(complaint("[checkpoint]\nkeep = 0\n" + sound), HasSubstr("checkpoint.keep: got 0"));
  EXPECT_THAT(complaint("[run]\nprecision = 'fp8'\n" + sound), HasSubstr("expected one of fp32, bf16, fp16"));
  EXPECT_THAT(complaint("[schedule]\nkind = 'cosin'\n" + sound), HasSubstr("did you mean cosine?"));
  EXPECT_THAT(complaint("[model]\nposition_shape = [0, 2048]\n" + sound), HasSubstr("each >= 1"));
  EXPECT_THAT(complaint("[attention]\ncombination = []\n" + sound), HasSubstr("got []"));
}

TEST(Parse, all_errors_come_at_once_in_the_order_of_the_file_then_the_command_line) {
  const std::string text = complaint("[model]\nwidht = 64\nlayers = 'six'\ndropout = 2\nwidth = 100\nheads = 3\n"
                                     "[trainings]\nsteps = 1\n",
                                     {"log.every=5", "run.seed=-1"});
  std::size_t at = 0;
  for (const char* part :
       {"6 problems in the input; nothing was started", "a.toml:2: model.widht", "a.toml:3: model.layers",
        "a.toml:4: model.dropout", "a.toml:7: [trainings]: unknown section; did you mean [training]?",
        "command line: log.every: unknown key", "command line: run.seed: got -1"}) {
    const std::size_t found = text.find(part, at);
    EXPECT_NE(found, std::string::npos) << part << "\nin\n" << text;
    at = found == std::string::npos ? at : found;
  }
  // model.width is what widht was meant to be and training.steps may stand in [trainings]: no rule is judged by them.
  EXPECT_THAT(text, Not(HasSubstr("model.heads")));
  EXPECT_THAT(text, Not(HasSubstr("training.steps")));
}

TEST(Parse, a_syntax_error_names_line_and_column) {
  const std::string text = complaint("[model]\nwidth = = 3\n");
  EXPECT_THAT(text, HasSubstr("a.toml:2:9: not TOML: "));
  EXPECT_THAT(text, Not(HasSubstr("training")));
  EXPECT_THAT(complaint("[model]\nwidth = 3\nwidth = 4\n" + sound), HasSubstr("a.toml:3:"));
}

TEST(Overrides, come_after_the_file_and_the_later_one_wins) {
  const LoadedConfig loaded = load("[model]\nwidth = 64\n" + sound, {"model.width=128", "model.width=256"});
  EXPECT_EQ(loaded.config.model.width, 256);
  EXPECT_EQ(loaded.origins.at("model.width").text(), "command line");
}

TEST(Overrides, are_TOML_values_or_bare_words) {
  const Config c = load("", {"training.steps=1_000", "optimizer.learning_rate=1e-3", "run.name=some_run",
                             "run.fresh=true", "data.path=../data/enwik8", "attention.combination=interleaved",
                             "model.position_shape=[32,32]", "run.directory=\"with blank\""})
                       .config;
  EXPECT_EQ(c.training.steps, 1000);
  EXPECT_EQ(c.optimizer.learning_rate, 1e-3);
  EXPECT_EQ(c.run.name, "some_run");
  EXPECT_TRUE(c.run.fresh);
  EXPECT_EQ(c.data.path, "../data/enwik8");
  EXPECT_THAT(c.attention.combination, testing::ElementsAre("interleaved"));
  EXPECT_THAT(c.model.position_shape, testing::ElementsAre(32, 32));
  EXPECT_EQ(c.run.directory, "with blank");
  EXPECT_EQ(load(sound, {"run.name=2024"}).config.run.name, "2024");
  EXPECT_EQ(load(sound, {"run.name=a=b"}).config.run.name, "a=b");
  EXPECT_THAT(load(sound, {"attention.combination=['block', 'summary']"}).config.attention.combination,
              testing::ElementsAre("block", "summary"));
}

TEST(Overrides, wrong_ones_are_told) {
  EXPECT_THAT(complaint(sound, {"model.width"}),
              HasSubstr("command line: got \"model.width\", expected section.key=value"));
  EXPECT_THAT(complaint(sound, {"model.wdth=3"}), HasSubstr("did you mean model.width?"));
  EXPECT_THAT(complaint(sound, {"width=3"}), HasSubstr("did you mean model.width?"));
  EXPECT_THAT(complaint(sound, {"model.width=big"}),
              HasSubstr("command line: model.width: got big, expected an integer"));
  EXPECT_THAT(complaint(sound, {"model.width=1\nx=2"}), HasSubstr("expected an integer"));
  EXPECT_THAT(complaint(sound, {"model.width="}), HasSubstr("expected an integer"));
}

TEST(Load, a_missing_file_is_wrong_input_and_a_missing_data_set_is_missing_data) {
  EXPECT_THROW(load_config("no/such/file.toml"), InputError);
  EXPECT_THROW(load_config("/"), InputError);
  const auto folder = std::filesystem::path(testing::TempDir()) / "weft_config_parse";
  std::filesystem::create_directories(folder);
  const std::string file = folder / "a.toml";
  std::ofstream(file) << "[training]\nsteps = 10\n[data]\npath = '" << folder.string() << "'\n";
  try {
    load_config(file);
    FAIL() << "accepted";
  } catch (const MissingDataError& error) {
    EXPECT_EQ(error.status, exit_data);
    EXPECT_THAT(error.what(), HasSubstr(file + ":4: data.path: got"));
    EXPECT_THAT(error.what(), HasSubstr("train-00000-of-*.h5"));
  }
  // With another mistake beside it the status is that of wrong input, and both are told.
  try {
    load_config(file, {"model.heads=3"});
    FAIL() << "accepted";
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), HasSubstr("data.path"));
    EXPECT_THAT(error.what(), HasSubstr("model.heads"));
  }
  EXPECT_NO_THROW(load_config(file, {}, DataCheck::skipped));
  std::ofstream(folder / "train-00000-of-00001.h5") << "x";
  EXPECT_THROW(load_config(file), MissingDataError); // damaged: told before anything starts
  const auto bytes = [](std::int64_t, std::int64_t count, std::uint8_t* to) {
    std::fill_n(to, count, std::uint8_t{7});
  };
  write_stream_split(folder.string(), "train", 5000, bytes, 1, {"text", 256, ""});
  EXPECT_NO_THROW(load_config(file));
  std::filesystem::remove_all(folder);
}

TEST(Resolved, round_trips_bit_for_bit) {
  Config config;
  double x = 0.1;
  std::int64_t i = (std::int64_t{1} << 62) + 1;
  for (Key& key : keys_of(config)) { // values of every type that are hard to write down
    if (auto* to = std::get_if<double*>(&key.value)) {
      x = 1 / (x * 2.718281828459045 + 1e-7);
      const double low = key.limits.low, high = key.limits.high;
      **to = std::isfinite(low) && std::isfinite(high) ? low + (high - low) / (2 + x) : x;
    } else if (auto* whole = std::get_if<std::int64_t*>(&key.value))
      **whole = std::isfinite(key.limits.high) ? 200 : i -= 7;
    else if (auto* text = std::get_if<std::string*>(&key.value); text != nullptr && key.limits.words.empty())
      **text = "a \"quoted\" \\ line\n\tand caf\xc3\xa9 #1";
    else if (auto* list = std::get_if<std::vector<std::int64_t>*>(&key.value))
      **list = {1, 2, std::isfinite(key.limits.high) ? 200 : i};
    else if (auto* texts = std::get_if<std::vector<std::string>*>(&key.value))
      **texts = {"a", "b\"", ""};
    else if (auto* flag = std::get_if<bool*>(&key.value))
      **flag = !**flag;
  }
  config.model.dropout = 0.3;
  config.optimizer.beta1 = 0.1 + 0.2;
  config.optimizer.beta2 = 0.99999999999999989;
  config.schedule.final_factor = 5e-324;
  config.schedule.peak_at = config.schedule.initial_factor = 1.0 / 3;
  config.schedule.beta1_at_peak = 0.7 + 0.1;
  config.optimizer.epsilon = 1e-300;
  config.optimizer.loss_scale = 12345.678901234567;
  config.parallel.bucket_mib = 1e22;
  const std::string text = to_toml(config);
  Config back = from_toml_text(text);
  const std::vector<Key> a = keys_of(config), b = keys_of(back);
  for (std::size_t k = 0; k < a.size(); ++k)
    EXPECT_TRUE(std::visit(
        [](auto* one, auto* other) {
          if constexpr (std::is_same_v<decltype(one), decltype(other)>) {
            if constexpr (std::is_same_v<decltype(one), double*>)
              return std::memcmp(one, other, sizeof *one) == 0;
            else
              return *one == *other;
          }
          return false;
        },
        a[k].value, b[k].value))
        << a[k].name << ": " << value_text(a[k]) << " came back as " << value_text(b[k]);
  EXPECT_EQ(to_toml(back), text);
  EXPECT_THAT(to_toml(Config{}), HasSubstr("[seconds]"));
}

TEST(Resolved, differences_name_what_weights_depend_on) {
  Config a;
  Config b = a;
  b.optimizer.learning_rate = 1;
  b.attention.pattern = "dense";
  b.run.name = "other";
  EXPECT_TRUE(model_differences(a, b).empty());
  b.model.width = 512;
  b.model.half_size = true;
  EXPECT_THAT(model_differences(a, b), testing::ElementsAre("model.width: saved 256, asked for 512",
                                                            "model.half_size: saved false, asked for true"));
  b = a;
  b.attention.stride = 64; // the default position tables follow the stride
  EXPECT_EQ(model_differences(a, b).size(), 1u);
  a.model.position_shape = b.model.position_shape = {1024};
  EXPECT_TRUE(model_differences(a, b).empty());
}
