// Promise: whatever an input file holds, it is read or refused with status 2; nothing crashes or runs for ever.
#include "config/parse.hpp"
#include "config/resolved.hpp"
#include "mutator.hpp"

using namespace weft;
using namespace weft::test;

namespace {

std::vector<std::string> corpus() {
  std::vector<std::string> texts;
  const char* source = std::getenv("WEFT_SOURCE");
  if (source != nullptr)
    for (const auto& entry : fs::recursive_directory_iterator(std::string(source) + "/inputs"))
      if (entry.path().extension() == ".toml")
        texts.push_back(get(entry.path().string()));
  texts.push_back(to_toml(Config{}));
  texts.push_back("[model]\nposition_shape = [0x7fffffffffffffff, -0b1, 0o17, 1_000]\nwidth = 1e308\n"
                  "[run]\nname = \"\\u00e9\\U0001F600\" # x\ndirectory = '''\n..'''\n[data]\npath = {a = [{b = 1}]}\n"
                  "attention.stride = 1979-05-27T07:32:00Z\n");
  return texts;
}

} // namespace

TEST(FuzzInput, files_are_read_or_refused) {
  const Scratch scratch;
  ASSERT_GT(corpus().size(), 10u) << "WEFT_SOURCE must name the source folder; CTest sets it";
  Mutator mutator(corpus(), 1);
  const FuzzCount count =
      fuzz(mutator, rounds(3000), scratch / "input.toml", {exit_input, exit_data}, [&](const std::string& path) {
        const LoadedConfig loaded = load_config(path, {}, DataCheck::skipped);
        // What was taken is written and read again as the same.
        const std::string text = to_toml(loaded.config);
        EXPECT_EQ(to_toml(load_config_text(text, "again", {}, DataCheck::skipped).config), text);
      });
  EXPECT_GT(count.refused, count.taken / 20) << "the damage was too small to test anything";
  EXPECT_GT(count.taken, 0);
}

TEST(FuzzInput, overrides_are_read_or_refused) {
  std::vector<std::string> words = {"model.width=64",
                                    "attention.combination=[\"local\", \"strided\"]",
                                    "run.name=x",
                                    "optimizer.learning_rate=1e-3",
                                    "model.position_shape=[1,2]",
                                    "run.fresh=true",
                                    "schedule.kind='cosine'"};
  Mutator mutator(words, 2);
  const Scratch scratch;
  put(scratch / "input.toml", "[training]\nsteps = 1\n");
  fuzz(mutator, rounds(3000), scratch / "override", {exit_input},
       [&](const std::string& path) { load_config(scratch / "input.toml", {get(path)}, DataCheck::skipped); });
}

// Nesting and length that a person never writes.
TEST(FuzzInput, deep_and_long_files_are_refused) {
  const Scratch scratch;
  const std::string path = scratch / "input.toml";
  for (const auto& [open, close] : {std::pair{"[", "]"}, std::pair{"{a=", "}"}}) {
    std::string text = "[model]\nwidth = ";
    for (int i = 0; i < 100'000; ++i)
      text += open;
    put(path, text);
    EXPECT_EQ(outcome([&] { load_config(path, {}, DataCheck::skipped); }).status, exit_input) << open;
  }
  std::string dots = "[a";
  for (int i = 0; i < 100'000; ++i)
    dots += ".a";
  for (const std::string& text : {dots + "]\nb = 1\n", "[run]\nname = \"" + std::string(20'000'000, 'x') + "\"\n",
                                  std::string(5'000'000, '\n') + "x"}) {
    put(path, text);
    EXPECT_EQ(outcome([&] { load_config(path, {}, DataCheck::skipped); }).status, exit_input);
  }
}
