// Blocks of l positions in which every query sees every key, also the later ones. Not causal. It is the Local attention
// of the Long Range Arena's paper (arXiv:2011.04006, appendix B: no overlap); and for a causal task it is a leak: the
// published program of the 2024 reproduction attends like this (docs/causality.md), and the audit that finds leaks
// needs a pattern that has one.
#include "kernels/attention/patterns/build.hpp"
#include <algorithm>

namespace weft {
namespace {

struct SameBlock {
  int l;
  bool allowed(int i, int j) const { return j / l == i / l; }
  bool surely_full(const build::TileSpan& q, const build::TileSpan& k) const {
    return q.block >= 0 && q.block == k.block;
  }
};

} // namespace

Pattern block_bidirectional(int length, int l) {
  build::require(length >= 1, "a length of 1 or more");
  build::require(l >= 1, "a block of 1 position or more");
  Pattern pattern{length, {}, {}};
  build::add_pass(pattern);
  build::add_part(pattern, SameBlock{l}, [length, l](int tile, std::vector<int>& tiles) {
    const int low = tile * query_tile, high = std::min(low + query_tile, length) - 1;
    const int last = static_cast<int>(std::min<std::int64_t>(std::int64_t{high / l + 1} * l, length)) - 1;
    for (int k = low / l * l / key_tile; k <= last / key_tile; ++k)
      tiles.push_back(k);
  });
  return pattern;
}

} // namespace weft
