// Blocks of l positions in which every query sees every key, also the later ones, and none outside: local attention of
// an encoder. Not causal: the published program of the 2024 reproduction attends like this (docs/causality.md), and the
// audit that finds leaks needs a pattern that has one.
#include "kernels/attention/pattern.hpp"
#include <algorithm>

namespace weft {

Pattern block_bidirectional(int length, int l) {
  detail::require(length >= 1, "a length of 1 or more");
  detail::require(l >= 1, "a block of 1 position or more");
  Pattern pattern{length, {}, {}};
  add_pass(pattern);
  add_part(pattern, {Rule::same_block, l}, [length, l](int tile, std::vector<int>& tiles) {
    const int low = tile * query_tile, high = std::min(low + query_tile, length) - 1;
    const int last = static_cast<int>(std::min<std::int64_t>(std::int64_t{high / l + 1} * l, length)) - 1;
    for (int k = low / l * l / key_tile; k <= last / key_tile; ++k)
      tiles.push_back(k);
  });
  return pattern;
}

} // namespace weft
