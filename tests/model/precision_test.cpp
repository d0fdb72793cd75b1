#include "io/error.hpp"
#include "model/precision.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft {
namespace {

Runtime::Device device(const char* name, int capability_10) {
  Runtime::Device it;
  it.name = name;
  it.capability_10 = capability_10;
  return it;
}

TEST(Precision, Bfloat16IsRefusedOnDevicesWithoutIt) {
  try {
    require_precision("bf16", device("Tesla V100-SXM2-32GB", 70));
    FAIL() << "expected an error";
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), testing::AllOf(testing::HasSubstr("Tesla V100-SXM2-32GB (sm_70)"),
                                             testing::HasSubstr("take run.precision = \"fp16\"")));
  }
  for (const char* precision : {"fp16", "fp32"})
    EXPECT_NO_THROW(require_precision(precision, device("Tesla V100-SXM2-32GB", 70)));
  for (const char* precision : {"fp32", "bf16", "fp16"}) {
    EXPECT_NO_THROW(require_precision(precision, device("NVIDIA A100-SXM4-40GB", 80)));
    EXPECT_NO_THROW(require_precision(precision, device("NVIDIA H100", 90)));
    EXPECT_NO_THROW(require_precision(precision, Runtime::Device())); // a host
  }
}

} // namespace
} // namespace weft
