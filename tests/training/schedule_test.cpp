#include "training/schedule.hpp"
#include <cmath>
#include <gtest/gtest.h>

using namespace weft;

namespace {

Config with(const std::string& kind) {
  Config c;
  c.optimizer.learning_rate = 2;
  c.schedule.kind = kind;
  c.schedule.warmup_steps = 10;
  return c;
}

TEST(Schedule, WarmsUpLinearlyWhateverFollows) {
  for (const char* kind : {"constant", "linear", "cosine", "step"})
    for (int step : {1, 5, 9})
      EXPECT_DOUBLE_EQ(learning_rate(with(kind), step, 110), 0.2 * step) << kind;
}

TEST(Schedule, CosineIsThatOfThePaper) {
  const Config c = with("cosine");
  EXPECT_DOUBLE_EQ(learning_rate(c, 10, 110), 2);
  EXPECT_DOUBLE_EQ(learning_rate(c, 60, 110), 1);
  EXPECT_NEAR(learning_rate(c, 35, 110), 1 + std::sqrt(0.5), 1e-12);
  EXPECT_NEAR(learning_rate(c, 110, 110), 0, 1e-12);
}

TEST(Schedule, LinearConstantAndStep) {
  Config c = with("linear");
  c.schedule.final_factor = 0.5;
  EXPECT_DOUBLE_EQ(learning_rate(c, 60, 110), 1.5);
  EXPECT_DOUBLE_EQ(learning_rate(c, 110, 110), 1);
  EXPECT_DOUBLE_EQ(learning_rate(with("constant"), 110, 110), 2);
  c = with("step");
  c.schedule.step_milestones = {20, 40};
  EXPECT_DOUBLE_EQ(learning_rate(c, 19, 110), 2);
  EXPECT_DOUBLE_EQ(learning_rate(c, 20, 110), 0.2);
  EXPECT_NEAR(learning_rate(c, 40, 110), 0.02, 1e-15);
}

// The whole rate in the first epoch, a factor behind each.
TEST(Schedule, StepEveryFallsBehindEachEpoch) {
  Config c = with("step");
  c.schedule.warmup_steps = 0;
  c.schedule.step_every = 657;
  c.schedule.step_factor = 0.95;
  EXPECT_DOUBLE_EQ(learning_rate(c, 1, 6570), 2);
  EXPECT_DOUBLE_EQ(learning_rate(c, 657, 6570), 2);
  EXPECT_DOUBLE_EQ(learning_rate(c, 658, 6570), 2 * 0.95);
  EXPECT_DOUBLE_EQ(learning_rate(c, 1314, 6570), 2 * 0.95);
  EXPECT_DOUBLE_EQ(learning_rate(c, 6570, 6570), 2 * std::pow(0.95, 9));
  c.schedule.warmup_steps = 10;
  EXPECT_DOUBLE_EQ(learning_rate(c, 5, 6570), 1);
}

// Long Range Arena, utils/train_utils.py: constant * linear_warmup * rsqrt_decay at the optimiser's step before the
// update.
TEST(Schedule, RsqrtIsTheFactorRuleOfTheArena) {
  Config c = with("rsqrt");
  c.optimizer.learning_rate = 0.05;
  c.schedule.warmup_steps = 8000;
  EXPECT_EQ(learning_rate(c, 1, 20000), 0); // step 0 of theirs
  EXPECT_DOUBLE_EQ(learning_rate(c, 2, 20000), 0.05 / 8000 / std::sqrt(8000.0));
  EXPECT_NEAR(learning_rate(c, 5001, 20000), 3.494e-4, 1e-7);
  EXPECT_NEAR(learning_rate(c, 8001, 20000), 5.590e-4, 1e-7); // the peak
  EXPECT_DOUBLE_EQ(learning_rate(c, 20000, 20000), 0.05 / std::sqrt(19999.0));
  EXPECT_DOUBLE_EQ(learning_rate(c, 20000, 90000), learning_rate(c, 20000, 20000)) << "knows nothing of the end";
  c.schedule.warmup_steps = 1000;
  EXPECT_NEAR(learning_rate(c, 1001, 5000), 1.581e-3, 1e-6);
}

// The same file: constant * linear_warmup * cosine_decay.
TEST(Schedule, ACosineWithCyclesIsTheFactorRuleOfTheArena) {
  Config c = with("cosine");
  c.schedule.cycle_steps = 100;
  EXPECT_EQ(learning_rate(c, 1, 300), 0); // step 0 of theirs
  EXPECT_DOUBLE_EQ(learning_rate(c, 6, 300), 1);
  EXPECT_DOUBLE_EQ(learning_rate(c, 11, 300), 2);   // the end of the warm-up, and the highest rate
  EXPECT_NEAR(learning_rate(c, 61, 300), 1, 1e-12); // the middle of a cycle
  EXPECT_NEAR(learning_rate(c, 36, 300), 1 + std::sqrt(0.5), 1e-12);
  EXPECT_GT(learning_rate(c, 110, 300), 0);
  EXPECT_DOUBLE_EQ(learning_rate(c, 111, 300), 2) << "it begins again";
  EXPECT_DOUBLE_EQ(learning_rate(c, 70, 300), learning_rate(c, 170, 90000)) << "knows nothing of the end";
  c.schedule.final_factor = 0.5;
  EXPECT_NEAR(learning_rate(c, 61, 300), 1.5, 1e-12);
  c.schedule.warmup_steps = 0;
  EXPECT_DOUBLE_EQ(learning_rate(c, 1, 300), 2);
  // Image as released: a cycle is as long as the training, so that the warm-up is missing at its end.
  Config image = with("cosine");
  image.schedule.warmup_steps = 175;
  image.schedule.cycle_steps = 35000;
  EXPECT_NEAR(learning_rate(image, 35000, 35000), 1 - std::cos(3.14159265358979 * 176 / 35000), 1e-12);
}

// torch's OneCycleLR with anneal_strategy "linear": step 1 has the first rate, the last one of the warm-up the highest.
TEST(Schedule, AWarmUpMayBeginAtAShareOfTheRate) {
  for (const char* kind : {"constant", "linear", "cosine", "step"}) {
    Config c = with(kind);
    c.schedule.initial_factor = 0.04;
    EXPECT_DOUBLE_EQ(learning_rate(c, 1, 110), 0.08) << kind;
    EXPECT_DOUBLE_EQ(learning_rate(c, 4, 110), 2 * (0.04 + 0.96 / 3)) << kind;
    EXPECT_DOUBLE_EQ(learning_rate(c, 10, 110), 2) << kind;
    c.schedule.warmup_steps = 1;
    EXPECT_DOUBLE_EQ(learning_rate(c, 1, 110), 2) << kind;
  }
}

TEST(Schedule, OneCycleRisesToItsPeakAndFalls) {
  Config c = with("one_cycle");
  c.schedule.warmup_steps = 0;
  EXPECT_NEAR(learning_rate(c, 30, 100), 2, 1e-12);
  EXPECT_NEAR(learning_rate(c, 100, 100), 0, 1e-12);
  for (int step = 1; step < 30; ++step)
    EXPECT_LT(learning_rate(c, step, 100), learning_rate(c, step + 1, 100));
  for (int step = 30; step < 100; ++step)
    EXPECT_GT(learning_rate(c, step, 100), learning_rate(c, step + 1, 100));
}

TEST(Schedule, TheFirstMomentsDecayGoesDownToThePeakAndBack) {
  Config c = with("one_cycle");
  c.schedule.warmup_steps = 0;
  c.schedule.peak_at = 0.25;
  c.optimizer.beta1 = 0.95;
  EXPECT_EQ(first_moment_decay(c, 50, 200), 0.95); // nothing asked for
  c.schedule.beta1_at_peak = 0.85;
  EXPECT_NEAR(first_moment_decay(c, 25, 200), 0.9, 1e-12);
  EXPECT_NEAR(first_moment_decay(c, 50, 200), 0.85, 1e-12);
  EXPECT_NEAR(first_moment_decay(c, 125, 200), 0.9, 1e-12);
  EXPECT_NEAR(first_moment_decay(c, 200, 200), 0.95, 1e-12);
  c.schedule.kind = "cosine";
  EXPECT_EQ(first_moment_decay(c, 50, 200), 0.95);
}

} // namespace
