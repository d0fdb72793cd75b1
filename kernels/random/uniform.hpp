#pragma once
#include <cstdint>

namespace weft {

/// values[i] = uniform in [-bound, bound], i in [0, n), in host memory (overwritten). A function of (seed, tensor, i)
/// alone, on the Philox numbers that fill_normal of kernels/random/normal.hpp uses: a tensor is filled by one of them.
void fill_uniform(float* values, std::int64_t n, double bound, std::uint64_t seed, std::uint32_t tensor);

} // namespace weft
