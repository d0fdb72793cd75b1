#pragma once
#include <cstdint>

namespace weft {

/// A pseudo-random permutation of 0 .. n-1 as a function: the place of `index` in the order of (seed, epoch).
/// Four Feistel rounds on Philox numbers, walking the cycle until the value is below n; nothing is stored.
std::int64_t shuffled(std::int64_t index, std::int64_t n, std::uint64_t seed, std::uint32_t epoch);

} // namespace weft
