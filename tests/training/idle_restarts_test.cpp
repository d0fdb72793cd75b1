// Promise: restarts of one Slurm job without a new step are counted, and nothing else is.
#include "../io/scratch.hpp"
#include "training/idle_restarts.hpp"

using namespace weft;
using namespace weft::test;

TEST(IdleRestarts, are_counted_until_a_new_step_or_another_job) {
  Scratch folder;
  const std::string path = folder / "restarts";
  EXPECT_EQ(count_idle_restarts(path, "17", 0), 0);
  EXPECT_EQ(count_idle_restarts(path, "17", 0), 1);
  EXPECT_EQ(count_idle_restarts(path, "17", 0), 2);
  EXPECT_EQ(count_idle_restarts(path, "17", 5), 0) << "a new step";
  EXPECT_EQ(count_idle_restarts(path, "17", 5), 1);
  EXPECT_EQ(count_idle_restarts(path, "18", 5), 0) << "a person submitted it again";
  EXPECT_EQ(count_idle_restarts(path, "18", 4), 0) << "an older checkpoint: the newer one is damaged";
}

TEST(IdleRestarts, outside_Slurm_nothing_is_noted) {
  Scratch folder;
  for (int i = 0; i < 10; ++i)
    EXPECT_EQ(count_idle_restarts(folder / "restarts", "", 0), 0);
  EXPECT_EQ(folder.entries(), 0u);
}

TEST(IdleRestarts, a_damaged_file_counts_from_zero) {
  Scratch folder;
  for (const char* text : {"", "17", "17 0 -3", "17 x y", "\xff\xfe 99999999999999999999 1"}) {
    put(folder / "restarts", text);
    EXPECT_EQ(count_idle_restarts(folder / "restarts", "17", 0), 0) << text;
    EXPECT_EQ(count_idle_restarts(folder / "restarts", "17", 0), 1) << text;
  }
}
