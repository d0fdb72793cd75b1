// What a user reads whose run does not fit the device.
#include "io/error.hpp"
#include "training/resources.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr std::size_t GiB = std::size_t{1} << 30;

std::string refusal(const Config& config, const MemoryPlan& plan, std::size_t available, int sharing = 1) {
  try {
    require_device_memory(plan, config, available, sharing);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

MemoryPlan plan() {
  MemoryPlan plan{};
  plan.weights = 1 * GiB;
  plan.moments = 2 * GiB;
  plan.gradients = 1 * GiB;
  plan.activations = 30 * GiB;
  plan.program = 50 * GiB; // on the host, like the copy for the checkpoint: does not count
  plan.checkpoint = 3 * GiB;
  return plan;
}

TEST(DeviceMemory, WhatFitsIsNotRefused) {
  EXPECT_EQ(refusal(Config{}, plan(), 34 * GiB), "");
  EXPECT_NE(refusal(Config{}, plan(), 34 * GiB - 1), "");
}

TEST(DeviceMemory, RanksThatShareItNeedTheirSum) {
  EXPECT_EQ(refusal(Config{}, plan(), 68 * GiB, 2), "");
  EXPECT_THAT(refusal(Config{}, plan(), 67 * GiB, 2), HasSubstr("2 ranks on one device"));
}

TEST(DeviceMemory, TheAdviceNamesAKeyThatCanStillBeChanged) {
  Config config;
  config.training.micro_batch = 4;
  EXPECT_THAT(refusal(config, plan(), 20 * GiB),
              AllOf(HasSubstr("34.0 GiB needed"), HasSubstr("20.0 GiB free"), HasSubstr("activations 30.0 GiB"),
                    HasSubstr("training.micro_batch below 4")));
  config.training.micro_batch = 1;
  config.model.recompute = "none";
  EXPECT_THAT(refusal(config, plan(), 20 * GiB), HasSubstr("model.recompute = \"block\""));
  config.model.recompute = "block";
  EXPECT_THAT(refusal(config, plan(), 20 * GiB), HasSubstr("model.width"));
}

} // namespace
} // namespace weft
