// The gradient's sum over slots and ranks. Run on one rank, and by mpirun on three (tests/CMakeLists.txt).
#include "parallel/gradients.hpp"
#include <bit>
#include <cmath>
#include <gtest/gtest.h>

namespace weft {
namespace {

constexpr std::int64_t extent = 5000;

const Ranks& ranks() {
  static const Ranks it(nullptr, nullptr);
  return it;
}

/// Numbers of very different size, so that another order of additions shows.
float gradient(std::int64_t step, std::int64_t slot, std::int64_t i) {
  const auto mixed = static_cast<std::uint32_t>((step * 31 + slot) * extent + i) * 2654435761u;
  return (static_cast<float>(mixed >> 8) - 8388608.0f) * std::ldexp(1.0f, static_cast<int>(mixed % 23) - 30);
}

/// What the tree's definition says: neighbours first, a lone slot goes up as it is.
float defined_sum(std::int64_t step, std::int64_t slots, std::int64_t i) {
  std::vector<float> level;
  for (std::int64_t slot = 0; slot < slots; ++slot)
    level.push_back(gradient(step, slot, i));
  while (level.size() > 1) {
    std::vector<float> above;
    for (std::size_t k = 0; k < level.size(); k += 2)
      above.push_back(k + 1 < level.size() ? level[k] + level[k + 1] : level[k]);
    level = above;
  }
  return level[0];
}

void expect_defined_sum(std::int64_t slots, bool staged) {
  GradientSum sum(ranks(), extent, slots, 4096 * sizeof(float), staged);
  const Share mine = sum.slots();
  std::vector<float> host(extent);
  for (std::int64_t step = 0; step < 3; ++step) {
    for (std::int64_t slot = mine.first; slot < mine.last; ++slot) {
      float* place = sum.current();
      for (std::int64_t i = 0; i < extent; ++i)
        host[static_cast<std::size_t>(i)] = gradient(step, slot, i);
      copy_to_device(place, host.data(), host.size() * sizeof(float));
      for (const std::int64_t final_from : {4500, 2000, 100, 0})
        sum.ready(final_from);
    }
    copy_to_host(host.data(), sum.finish(), host.size() * sizeof(float));
    for (std::int64_t i = 0; i < extent; ++i)
      ASSERT_EQ(std::bit_cast<std::uint32_t>(host[static_cast<std::size_t>(i)]),
                std::bit_cast<std::uint32_t>(defined_sum(step, slots, i)))
          << "slots " << slots << ", step " << step << ", element " << i << (staged ? ", staged" : "");
  }
}

TEST(Gradients, SumIsTheDefinedTreeBitForBit) {
  for (const std::int64_t slots : {3, 4, 7, 12})
    expect_defined_sum(slots, !device_is_host);
}

TEST(Gradients, StagedThroughTheHostItIsTheSame) {
  for (const std::int64_t slots : {3, 4, 7, 12})
    expect_defined_sum(slots, true);
}

} // namespace
} // namespace weft
