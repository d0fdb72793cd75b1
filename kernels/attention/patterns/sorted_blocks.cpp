// Sinkhorn attention's keys (Tay, Bahri, Yang, Metzler, Juan 2020, arXiv:2002.11296, sections 3.2 and 3.4): behind the
// sequence, filled up to whole blocks, stand its sorted blocks, mixtures of all blocks that kernels/sinkhorn/blocks.hpp
// makes. A query sees its own block and the sorted block of the same number; with SortCut the first sorted blocks
// alone.
#include "kernels/attention/patterns/build.hpp"
#include <algorithm>

namespace weft {
namespace {

struct OwnAndSorted {
  int l;
  int length, begin; ///< N, and where the sorted blocks begin: after N, at a position of their own
  int cut;           ///< keys of SortCut; 0: none
  bool allowed(int i, int j) const {
    if (i >= length)
      return false;
    if (cut > 0)
      return j >= begin && j < begin + cut;
    return j < length ? j / l == i / l : j >= begin && (j - begin) / l == i / l;
  }
  bool surely_full(const build::TileSpan& q, const build::TileSpan& k) const {
    if (q.high >= length)
      return false;
    if (cut > 0)
      return k.low >= begin && k.high < begin + cut;
    return q.block >= 0 &&
           (k.high < length ? k.block == q.block
                            : k.low >= begin && (k.low - begin) / l == q.block && (k.high - begin) / l == q.block);
  }
};

} // namespace

Pattern sorted_blocks(int length, int l, int begin, int cut) {
  build::require(length >= 1, "a length of 1 or more");
  build::require(l >= 1, "a block of 1 position or more");
  build::require(begin >= length, "sorted blocks behind the sequence");
  const int blocks = (length + l - 1) / l;
  build::require(cut >= 0, "0 or more sorted blocks");
  Pattern pattern{begin + blocks * l, {}, {}};
  build::add_pass(pattern);
  const auto add_range = [](std::vector<int>& tiles, int first, int last) { // positions; tiles stay ascending
    for (int k = first / key_tile; k <= last / key_tile; ++k)
      if (tiles.empty() || tiles.back() < k)
        tiles.push_back(k);
  };
  const OwnAndSorted rule{l, length, begin, std::min(cut, blocks) * l};
  build::add_part(pattern, rule, [=](int tile, std::vector<int>& tiles) {
    const int low = tile * query_tile, high = std::min(low + query_tile, length) - 1;
    if (low >= length)
      return;
    if (rule.cut > 0)
      return add_range(tiles, begin, begin + rule.cut - 1);
    const int first = low / l * l, last = high / l * l + l - 1;
    add_range(tiles, first, std::min(last, length - 1));
    add_range(tiles, begin + first, begin + last);
  });
  return pattern;
}

} // namespace weft
