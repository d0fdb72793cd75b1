// Promise: what is typed wrong is answered by status 2 and the nearest right word, and a missing data set by status 4.
#include "io/error.hpp"
#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <sys/wait.h>

using namespace weft;
using testing::HasSubstr;

namespace {

struct Outcome {
  int status = -1;
  std::string text; ///< standard output and error
};

Outcome weft_command(const std::string& arguments, const std::string& environment = "") {
  const char* program = std::getenv("WEFT");
  if (program == nullptr)
    return {-1, "WEFT must name the program; CTest sets it"};
  // As one rank, whatever started the tests.
  const std::string command = "env -u OMPI_COMM_WORLD_RANK -u OMPI_COMM_WORLD_SIZE -u PMIX_RANK -u SLURM_PROCID -u "
                              "SLURM_NTASKS " +
                              environment + " " + program + " " + arguments + " 2>&1";
  std::FILE* pipe = popen(command.c_str(), "r");
  Outcome out;
  std::array<char, 4096> piece;
  while (std::fgets(piece.data(), piece.size(), pipe) != nullptr)
    out.text += piece.data();
  const int ended = pclose(pipe);
  out.status = WIFEXITED(ended) ? WEXITSTATUS(ended) : -1;
  return out;
}

struct Folder {
  std::filesystem::path path = std::filesystem::path(testing::TempDir()) / "weft_command_line";
  std::string input = (path / "a.toml").string();
  Folder() {
    std::filesystem::remove_all(path);
    std::filesystem::create_directories(path);
    std::ofstream(input)
        << "[model]\nwidth = 64\ncontext = 64\n[attention]\nstride = 8\nsummary = 2\n[training]\nsteps = 1\n"
        << "[data]\npath = '" << path.string() << "/none'\n[run]\ndirectory = '" << path.string() << "/runs'\n";
  }
  ~Folder() { std::filesystem::remove_all(path); }
};

void expect(const Outcome& got, int status, const std::string& part) {
  EXPECT_EQ(got.status, status) << got.text;
  EXPECT_THAT(got.text, HasSubstr(part));
}

} // namespace

TEST(CommandLine, help_and_version_are_done) {
  expect(weft_command("--help"), exit_done, "requeue me");
  expect(weft_command("pattern --help"), exit_done, "--csv");
  expect(weft_command("--version"), exit_done, "commit");
  expect(weft_command("help model.width"), exit_done, "an integer >= 1");
  EXPECT_EQ(weft_command("--help", "OMPI_COMM_WORLD_RANK=1").text, "") << "only rank 0 speaks";
}

TEST(CommandLine, wrong_words_are_answered_by_the_nearest) {
  expect(weft_command(""), exit_input, "Subcommands:");
  expect(weft_command("trian x.toml"), exit_input, "did you mean weft train?");
  expect(weft_command("pattern"), exit_input, "got no input, which is needed");
  expect(weft_command("pattern a.toml --layers 3"), exit_input, "did you mean --layer?");
  expect(weft_command("pattern a.toml --layer x"), exit_input, "--layer");
  expect(weft_command("help model.widht"), exit_input, "did you mean model.width?");
}

TEST(CommandLine, wrong_input_is_2_and_missing_data_4_and_nothing_is_written) {
  const Folder folder;
  expect(weft_command("train " + folder.path.string() + "/other.toml"), exit_input, "cannot read the input file");
  expect(weft_command("train " + folder.input + " model.heads=3"), exit_input, "got 3 heads for width 64");
  expect(weft_command("train " + folder.input), exit_data, "a.toml:10: data.path");
  EXPECT_FALSE(std::filesystem::exists(folder.path / "runs"));
}

TEST(CommandLine, pattern_writes_each_query_with_its_keys) {
  const Folder folder;
  const std::string csv = (folder.path / "p.csv").string(), png = (folder.path / "p.png").string();
  expect(weft_command("pattern " + folder.input + " --layer 1 --head 1 --csv " + csv + " --png " + png), exit_done,
         "fixed merged");
  std::ifstream in(csv);
  std::string line;
  for (int query = 0; query < 64; ++query) { // l = 8, c = 2, head 1: the last but one sub-block, columns 4 and 5
    std::string expected = std::to_string(query);
    for (int key = 0; key <= query; ++key)
      if (key / 8 == query / 8 || key % 8 == 4 || key % 8 == 5)
        expected += "," + std::to_string(key);
    ASSERT_TRUE(std::getline(in, line));
    EXPECT_EQ(line, expected);
  }
  EXPECT_FALSE(std::getline(in, line));
  EXPECT_GT(std::filesystem::file_size(png), 100u);
  expect(weft_command("pattern " + folder.input + " --head 8"), exit_input, "expected 0 to 7 (model.heads = 8)");
}

TEST(CommandLine, pattern_draws_keys_behind_the_query_too) {
  const Folder folder;
  expect(weft_command("pattern " + folder.input +
                      " model.context=20 attention.pattern=block_bidirectional attention.allow_leak=true"),
         exit_done,
         "     0 ########\n     1 ########\n     2 ########\n     3 ########\n     4 ########\n"
         "     5 ########\n     6 ########\n     7 ########\n     8 ........########\n");
  expect(weft_command("pattern " + folder.input + " model.context=20 attention.pattern=dense"), exit_done,
         "     0 #\n     1 ##\n     2 ###\n");
}
