// What a user of the CUDA build reads on a machine where it cannot compute.
#include "kernels/common/device_problem.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft {
namespace {

using testing::AllOf;
using testing::HasSubstr;

DeviceState good() {
  DeviceState state;
  state.driver = 13020;
  state.runtime = 13000;
  state.devices = 1;
  state.name = "NVIDIA A100";
  state.capability_10 = 80;
  return state;
}

TEST(DeviceProblem, AUsableDeviceHasNone) {
  EXPECT_EQ(device_problem(good()), "");
  DeviceState older_minor = good(); // CUDA runs on any driver of its major version
  older_minor.driver = 12020;
  older_minor.runtime = 12040;
  EXPECT_EQ(device_problem(older_minor), "");
}

TEST(DeviceProblem, NoDriver) {
  DeviceState state = good();
  state.driver = state.devices = 0;
  state.said = "CUDA driver version is insufficient for CUDA runtime version"; // what CUDA says then, and misleads
  EXPECT_THAT(device_problem(state), AllOf(HasSubstr("no NVIDIA driver"), Not(HasSubstr("too old")),
                                           HasSubstr("cpu build"), Not(HasSubstr("\n"))));
}

TEST(DeviceProblem, DriverTooOld) {
  DeviceState state = good();
  state.driver = 12040;
  state.devices = 0;
  EXPECT_THAT(device_problem(state), AllOf(HasSubstr("serves CUDA 12.4"), HasSubstr("expected 13.0"),
                                           HasSubstr("update the driver"), Not(HasSubstr("\n"))));
}

TEST(DeviceProblem, NoGpuToSee) {
  DeviceState state = good();
  state.devices = 0;
  EXPECT_THAT(device_problem(state), HasSubstr("CUDA_VISIBLE_DEVICES"));
  state.said = "out of memory";
  EXPECT_THAT(device_problem(state), AllOf(HasSubstr("out of memory"), HasSubstr("scheduler")));
}

TEST(DeviceProblem, AGpuThatTheBuildHasNoCodeFor) {
  DeviceState state = good();
  state.code_runs = false;
  state.name = "Tesla V100";
  state.capability_10 = 70;
  EXPECT_THAT(device_problem(state), AllOf(HasSubstr("Tesla V100"), HasSubstr("sm_70")));
}

} // namespace
} // namespace weft
