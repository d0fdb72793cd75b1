// What a person is told where a run cannot keep its bits.
#include "commands/bit_notes.hpp"
#include <gtest/gtest.h>

namespace weft {
namespace {

const std::string old_cpu = "OpenMP, 2 threads per rank, avx2", new_cpu = "OpenMP, 2 threads per rank, avx512_bf16";

bool holds(const std::vector<std::string>& notes, const std::string& one) {
  return notes.size() == 1 && notes.front().find(one) != std::string::npos;
}

TEST(BitNotes, NothingWhereAllComputeAlike) {
  EXPECT_TRUE(bit_notes({old_cpu}, "").empty());
  EXPECT_TRUE(bit_notes({old_cpu, old_cpu}, old_cpu).empty());         // one rank more
  EXPECT_TRUE(bit_notes({old_cpu}, old_cpu + "; " + old_cpu).empty()); // one less
  const std::string gpu = "Cuda, 1 thread per rank, device 0 NVIDIA H200";
  const std::string other = "Cuda, 1 thread per rank, device 13 NVIDIA H200";
  EXPECT_TRUE(bit_notes({gpu, other}, other).empty()); // another device of the same kind
}

TEST(BitNotes, RanksOfTwoKindsAreNamed) {
  const std::vector<std::string> notes = bit_notes({old_cpu, new_cpu, old_cpu}, "");
  EXPECT_TRUE(holds(notes, old_cpu + " | " + new_cpu));
  EXPECT_TRUE(holds(notes, "debug.isa"));
  EXPECT_TRUE(holds(bit_notes({old_cpu, "OpenMP, 1 thread per rank, avx2"}, ""), "1 thread"));
}

TEST(BitNotes, AMoveToOtherKernelsIsTold) {
  EXPECT_TRUE(
      holds(bit_notes({new_cpu}, old_cpu + "; " + old_cpu), "from other kernels: " + old_cpu + "; now: " + new_cpu));
  EXPECT_TRUE(holds(bit_notes({"Cuda, 1 thread per rank, device 0 NVIDIA H200"},
                              "Cuda, 1 thread per rank, device 0 NVIDIA A100-SXM4-80GB"),
                    "NVIDIA A100"));
  EXPECT_EQ(bit_notes({old_cpu, new_cpu}, old_cpu).size(), 2U);
}

} // namespace
} // namespace weft
