#pragma once
#include <cstdint>

namespace weft {

/// values[i] = N(0, std^2), i in [0, n), in host memory (overwritten). A function of (seed, tensor, i) alone:
/// Box-Muller on the Philox numbers of `random4` with step and sample at their largest value, which no training step
/// uses.
void fill_normal(float* values, std::int64_t n, double std, std::uint64_t seed, std::uint32_t tensor);

/// The same cut at two standard deviations of the normal distribution behind it, which is wider than `std`: std is that
/// of the numbers that come out, all within 2 std / 0.8796. The numbers of value i are drawn until one fits, with i as
/// the block and the sample counting the attempts down.
void fill_truncated_normal(float* values, std::int64_t n, double std, std::uint64_t seed, std::uint32_t tensor);

} // namespace weft
