#pragma once
#include <cstdint>

namespace weft {

/// values[i] = N(0, std^2), i in [0, n), in host memory (overwritten). A function of (seed, tensor, i) alone:
/// Box-Muller on the Philox numbers of `random4` with step and sample at their largest value, which no training step
/// uses.
void fill_normal(float* values, std::int64_t n, double std, std::uint64_t seed, std::uint32_t tensor);

} // namespace weft
