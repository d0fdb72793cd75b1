#include "tasks/shuffle.hpp"
#include "kernels/random/philox.hpp"

namespace weft {

namespace {
constexpr std::uint32_t purpose_shuffle = 0xfffffff0u; // a tensor that no model has
}

std::int64_t shuffled(std::int64_t index, std::int64_t n, std::uint64_t seed, std::uint32_t epoch) {
  int half = 1;
  while ((std::int64_t{1} << (2 * half)) < n)
    ++half;
  const std::uint64_t mask = (std::uint64_t{1} << half) - 1;
  auto value = static_cast<std::uint64_t>(index);
  do {
    std::uint64_t left = value >> half, right = value & mask;
    for (std::uint32_t round = 0; round < 4; ++round) {
      const Philox4 r = random4({seed, epoch, round, purpose_shuffle}, static_cast<std::uint32_t>(right));
      const std::uint64_t mixed = left ^ (r.x[0] & mask);
      left = right;
      right = mixed;
    }
    value = left << half | right;
  } while (value >= static_cast<std::uint64_t>(n));
  return static_cast<std::int64_t>(value);
}

} // namespace weft
