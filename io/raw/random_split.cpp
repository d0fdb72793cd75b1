#include "io/raw/random_split.hpp"
#include <numeric>
#include <random>
#include <utility>

namespace weft {

std::vector<std::int64_t> torch_permutation(std::int64_t n, std::uint32_t seed) {
  std::mt19937 words(seed);
  std::vector<std::int64_t> all(static_cast<std::size_t>(n));
  std::iota(all.begin(), all.end(), std::int64_t{0});
  for (std::int64_t i = 0; i + 1 < n; ++i) {
    const std::int64_t z = static_cast<std::int64_t>(words() % static_cast<std::uint64_t>(n - i));
    std::swap(all[static_cast<std::size_t>(i)], all[static_cast<std::size_t>(i + z)]);
  }
  return all;
}

} // namespace weft
