// Promise: the scale of the loss halves with every overflow down to 1, doubles after so many good steps up to 2^24, is
// a power of two always, and goes on from a checkpoint as if it had never stopped. Other precisions have none.
#include "training/loss_scale.hpp"
#include <gtest/gtest.h>
#include <stdexcept>

using namespace weft;

namespace {

Config with(double scale, std::int64_t growth_steps, const char* precision = "fp16") {
  Config c;
  c.run.precision = precision;
  c.optimizer.loss_scale = scale;
  c.optimizer.loss_scale_growth_steps = growth_steps;
  return c;
}

TEST(LossScale, BeginsWithTheKeysValue) {
  EXPECT_EQ(LossScale(with(65536, 2000)).value(), 65536);
  EXPECT_EQ(LossScale(with(1, 2000)).value(), 1);
  EXPECT_TRUE(LossScale(with(1, 2000)).moves());
}

TEST(LossScale, OtherPrecisionsHaveNone) {
  for (const char* precision : {"fp32", "bf16"}) {
    LossScale scale(with(65536, 1, precision));
    EXPECT_FALSE(scale.moves());
    EXPECT_FALSE(scale.overflow());
    for (int i = 0; i < 10; ++i)
      EXPECT_FALSE(scale.good_step());
    scale.restore(1024, 3); // of a checkpoint that an fp16 run wrote
    EXPECT_EQ(scale.value(), 1);
    EXPECT_EQ(scale.good_steps(), 0);
  }
}

TEST(LossScale, DoublesAfterGoodStepsInARowUpToTheLargest) {
  LossScale scale(with(largest_loss_scale / 2, 3));
  EXPECT_FALSE(scale.good_step());
  EXPECT_FALSE(scale.good_step());
  EXPECT_TRUE(scale.good_step());
  EXPECT_EQ(scale.value(), largest_loss_scale);
  for (int i = 0; i < 9; ++i)
    EXPECT_FALSE(scale.good_step());
  EXPECT_EQ(scale.value(), largest_loss_scale);
}

TEST(LossScale, AnOverflowHalvesItAndTheCountOfGoodStepsBeginsAnew) {
  LossScale scale(with(1024, 3));
  scale.good_step();
  scale.good_step();
  EXPECT_TRUE(scale.overflow());
  EXPECT_EQ(scale.value(), 512);
  EXPECT_FALSE(scale.good_step());
  EXPECT_FALSE(scale.good_step());
  EXPECT_TRUE(scale.good_step());
  EXPECT_EQ(scale.value(), 1024);
}

TEST(LossScale, AtTheLeastAnOverflowIsABadSign) {
  LossScale scale(with(4, 3));
  EXPECT_TRUE(scale.overflow());
  EXPECT_TRUE(scale.overflow());
  EXPECT_EQ(scale.value(), least_loss_scale);
  EXPECT_FALSE(scale.overflow());
  EXPECT_EQ(scale.value(), least_loss_scale);
}

TEST(LossScale, GoesOnFromACheckpointAsIfItHadNotStopped) {
  for (int stop = 0; stop < 40; ++stop) {
    LossScale whole(with(4096, 5)), first(with(4096, 5));
    const auto step = [](LossScale& scale, int i) { i % 11 == 7 ? scale.overflow() : scale.good_step(); };
    for (int i = 0; i < 40; ++i)
      step(whole, i);
    for (int i = 0; i < stop; ++i)
      step(first, i);
    LossScale second(with(4096, 5));
    second.restore(first.value(), first.good_steps());
    for (int i = stop; i < 40; ++i)
      step(second, i);
    EXPECT_EQ(second.value(), whole.value()) << stop;
    EXPECT_EQ(second.good_steps(), whole.good_steps()) << stop;
  }
}

TEST(LossScale, WhatCannotHaveBeenAStateIsRefused) {
  LossScale scale(with(4096, 5));
  for (const double value : {0.0, 0.5, 3.0, -2.0, 2 * largest_loss_scale})
    EXPECT_THROW(scale.restore(value, 0), std::invalid_argument) << value;
  EXPECT_THROW(scale.restore(2, -1), std::invalid_argument);
  EXPECT_EQ(scale.value(), 4096);
}

} // namespace
