// Promise: an input file may start from another; the later value wins, and every message names the right file and line.
#include "config/parse.hpp"
#include "config/resolved.hpp"
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <unistd.h>

using namespace weft;
using testing::HasSubstr;
namespace fs = std::filesystem;

namespace {

class Base : public testing::Test {
 protected:
  Base() { fs::create_directories(folder_ / "arena"); }
  ~Base() override { fs::remove_all(folder_); }
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name) << text;
    return (folder_ / name).string();
  }
  static LoadedConfig load(const std::string& path, const std::vector<std::string>& overrides = {}) {
    return load_config(path, overrides, DataCheck::skipped);
  }
  static std::string complaint(const std::string& path) {
    try {
      load(path);
    } catch (const InputError& error) {
      return error.what();
    }
    return "";
  }
  std::string in(const std::string& name) const { return (folder_ / name).string(); }

 private:
  fs::path folder_ = fs::temp_directory_path() / ("weft-base-" + std::to_string(getpid()));
};

} // namespace

TEST_F(Base, the_later_value_wins_and_origins_are_kept) {
  write("root.toml", "[training]\nsteps = 10\nbatch = 4\n[model]\nlayers = 2\n");
  write("arena/middle.toml", "base = '../root.toml'\n[model]\nlayers = 3\nwidth = 64\n");
  const std::string top = write("top.toml", "base = \"arena/middle.toml\"\n[model]\nwidth = 128\n");
  const LoadedConfig loaded = load(top, {"training.batch=8"});
  EXPECT_EQ(loaded.config.training.steps, 10);
  EXPECT_EQ(loaded.config.training.batch, 8);
  EXPECT_EQ(loaded.config.model.layers, 3);
  EXPECT_EQ(loaded.config.model.width, 128);
  EXPECT_EQ(loaded.origins.at("training.steps").text(), in("root.toml") + ":2");
  EXPECT_EQ(loaded.origins.at("model.layers").text(), in("arena/middle.toml") + ":3");
  EXPECT_EQ(loaded.origins.at("model.width").text(), top + ":3");
  const std::string whole = to_toml(loaded.config);
  EXPECT_EQ(whole.find("base"), std::string::npos);
  EXPECT_EQ(from_toml_text(whole).model.layers, 3);
}

TEST_F(Base, messages_name_the_file_that_is_wrong_files_in_their_order) {
  write("root.toml", "[training]\nsteps = 10\n\n\n[model]\nwidht = 3\n");
  const std::string top = write("top.toml", "base = 'root.toml'\n[model]\nlayers = 'two'\n");
  const std::string text = complaint(top);
  const std::size_t first = text.find(in("root.toml") + ":6: model.widht: unknown key"),
                    second = text.find(top + ":3: model.layers: got 'two'");
  EXPECT_NE(first, std::string::npos) << text;
  EXPECT_NE(second, std::string::npos) << text;
  EXPECT_LT(first, second);
  write("root.toml", "[training\n");
  EXPECT_THAT(complaint(top), HasSubstr(in("root.toml") + ":1:10: not TOML"));
}

TEST_F(Base, circles_missing_files_and_other_types_are_told) {
  const std::string one = write("one.toml", "base = 'two.toml'\n[training]\nsteps = 1\n");
  write("two.toml", "\nbase = 'arena/../one.toml'\n");
  EXPECT_THAT(complaint(one),
              HasSubstr(in("two.toml") + ":2: base: got \"arena/../one.toml\", which goes in a circle"));
  EXPECT_THAT(complaint(one), HasSubstr(one + " -> " + in("two.toml") + " -> " + one));
  const auto started_from = [&](const std::string& base) {
    return complaint(write("bad.toml", "base = " + base + "\n[training]\nsteps = 1\n"));
  };
  EXPECT_THAT(started_from("'bad.toml'"), HasSubstr("goes in a circle"));
  EXPECT_THAT(started_from("'none.toml'"),
              HasSubstr("bad.toml:1: base: got \"none.toml\", cannot read " + in("none.toml") + ": No such file"));
  EXPECT_THAT(started_from("'arena'"), HasSubstr("cannot read"));
  EXPECT_THAT(started_from("3"), HasSubstr("base: got 3 (an integer), expected another input file in quotes"));
  EXPECT_THAT(started_from("''"), HasSubstr("expected another input file"));
  EXPECT_THAT(complaint(write("late.toml", "[training]\nsteps = 1\nbase = 'one.toml'\n")),
              HasSubstr("late.toml:3: training.base: unknown key"));
}

TEST_F(Base, a_chain_has_an_end) {
  for (int i = 0; i < 20; ++i)
    write("f" + std::to_string(i) + ".toml", "base = 'f" + std::to_string(i + 1) + ".toml'\n");
  EXPECT_THAT(complaint(in("f0.toml")), HasSubstr("a chain of more than 16 files"));
}

TEST_F(Base, a_key_must_be_read_where_it_is_set_or_later) {
  const std::string root = "[training]\nsteps = 10\n[attention]\npattern = 'fixed'\nsummary = 8\n";
  write("root.toml", root);
  EXPECT_EQ(complaint(write("top.toml", "base = 'root.toml'\n[attention]\npattern = 'strided'\n")), "");
  EXPECT_THAT(complaint(write("top.toml", "base = 'root.toml'\n[attention]\npattern = 'strided'\nsummary = 4\n")),
              HasSubstr("top.toml:4: attention.summary: is set and nothing reads it"));
}
