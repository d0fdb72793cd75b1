// Promise: figures a person can read, the same lines on the screen and in the log, and only rank 0 speaks.
#include "io/console.hpp"
#include "io/error.hpp"
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <sstream>

using namespace weft;
using testing::HasSubstr;

namespace {

std::string contents(const std::string& path) {
  std::ifstream in(path);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

struct Screen { // a file in the place of a terminal
  std::string path = testing::TempDir() + "weft_console_screen";
  std::FILE* file = std::fopen(path.c_str(), "w");
  std::string text() {
    std::fflush(file);
    return contents(path);
  }
  ~Screen() {
    std::fclose(file);
    std::filesystem::remove(path);
  }
};

} // namespace

TEST(Units, bytes_counts_and_times_have_three_digits_and_a_unit) {
  EXPECT_EQ(human_bytes(0), "0 B");
  EXPECT_EQ(human_bytes(1023), "1023 B");
  EXPECT_EQ(human_bytes(1024), "1.00 KiB");
  EXPECT_EQ(human_bytes(1.5 * 1024 * 1024 * 1024), "1.50 GiB");
  EXPECT_EQ(human_bytes(100.0 * 1024 * 1024), "100 MiB");
  EXPECT_EQ(human_count(999), "999");
  EXPECT_EQ(human_count(1000), "1.00 k");
  EXPECT_EQ(human_count(94949888), "94.9 M");
  EXPECT_EQ(human_count(999.9e6), "1.00 G");
  EXPECT_EQ(human_count(1.37e21), "1370 E");
  EXPECT_EQ(human_count(std::nan("")), "-");
  EXPECT_EQ(human_seconds(0), "0 s");
  EXPECT_EQ(human_seconds(2e-6), "2 us");
  EXPECT_EQ(human_seconds(0.0123), "12.3 ms");
  EXPECT_EQ(human_seconds(12.34), "12.3 s");
  EXPECT_EQ(human_seconds(59.97), "1 min 00 s");
  EXPECT_EQ(human_seconds(245), "4 min 05 s");
  EXPECT_EQ(human_seconds(3599.7), "1 h 00 min");
  EXPECT_EQ(human_seconds(3 * 3600 + 7 * 60), "3 h 07 min");
  EXPECT_EQ(human_seconds(86400 * 2 + 3 * 3600), "2 d 03 h");
  EXPECT_EQ(human_seconds(INFINITY), "-");
  EXPECT_EQ(exact_count(94949888), "94,949,888");
  EXPECT_EQ(exact_count(-1000), "-1,000");
  EXPECT_EQ(exact_count(999), "999");
}

TEST(Table, columns_are_aligned) {
  Table table("settings");
  table.heading("[model]").row("width", "256").row("parameters", "94,949,888");
  EXPECT_EQ(table.text(), "settings\n[model]\n  width       256\n  parameters  94,949,888\n");
}

TEST(Console, step_lines_are_plain_in_a_file_and_go_to_the_log_which_is_continued) {
  Screen screen;
  const std::string log = testing::TempDir() + "weft_console.log";
  std::filesystem::remove(log);
  for (int start = 0; start < 2; ++start) {
    Console console(true, screen.file);
    console.log_to(log);
    console.line("hello");
    StepLine step;
    step.step = 7;
    step.steps = 100;
    step.loss = std::log(2.0);
    step.bits = 1;
    step.tokens_per_second = 12345;
    step.gemm_share = 0.42;
    step.seconds_left = 65;
    console.step(step);
  }
  const std::string text = screen.text();
  EXPECT_EQ(
      text,
      "hello\nstep   7/100  loss 0.6931  bits 1.0000  gradient -  lr -  12.3 k tokens/s  42 % of gemm rate  1 min "
      "05 s left\n" +
          text.substr(0, text.size() / 2));
  EXPECT_EQ(contents(log), text);
  EXPECT_THAT(text, testing::Not(HasSubstr("\r")));
  std::filesystem::remove(log);
}

TEST(Console, other_ranks_are_silent_and_write_no_log) {
  Screen screen;
  const std::string log = testing::TempDir() + "weft_console_other.log";
  Console console(false, screen.file);
  console.log_to(log);
  console.line("hello");
  console.step(StepLine{});
  EXPECT_EQ(screen.text(), "");
  EXPECT_FALSE(std::filesystem::exists(log));
}

TEST(Console, a_step_line_shows_a_loss_scale_and_skipped_steps_where_there_are_any) {
  StepLine step;
  EXPECT_EQ(step_text(step).find("scale"), std::string::npos);
  EXPECT_EQ(step_text(step).find("skipped"), std::string::npos);
  step.loss_scale = 65536;
  step.skipped = 3;
  EXPECT_NE(step_text(step).find("  scale 65536  3 skipped"), std::string::npos) << step_text(step);
}

TEST(Console, a_step_line_of_classes_speaks_of_accuracy_and_not_of_bits) {
  StepLine step;
  step.loss = 0.6931;
  step.accuracy = 0.5125;
  EXPECT_NE(step_text(step).find("  loss 0.6931  accuracy 51.25 %  gradient"), std::string::npos) << step_text(step);
  EXPECT_EQ(step_text(step).find("bits"), std::string::npos);
}

TEST(Console, a_log_that_cannot_be_written_is_an_error) {
  Screen screen;
  Console console(true, screen.file);
  EXPECT_THROW(console.log_to("/no/such/folder/run.log"), Error);
}
