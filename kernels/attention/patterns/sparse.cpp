// Sparse attention of the Long Range Arena (Tay et al. 2021, arXiv:2011.04006), the fixed sets of Child et al. 2019
// (arXiv:1904.10509, section 4.3) for tasks that see both ways: the query's own block of l, and the summary columns,
// the last c of every block. The summary columns of other blocks are one gathered list, the first slot among them.
#include "kernels/attention/patterns/build.hpp"
#include <algorithm>

namespace weft {
namespace {

/// What the sets have in common. Positions count from `shift`; slots before it are in no block (their number is -1).
struct SummarisedBlocks {
  static constexpr int l = 1; // spans need no residues: blocks here may begin behind the first slot
  int size, shift;
  bool open, causal;

  int block(int p) const { return p < shift ? -1 : (p - shift) / size; }
};

/// j in the block of i; an open first slot sees everything.
struct OwnBlock : SummarisedBlocks {
  bool allowed(int i, int j) const { return (open && i == 0) || (block(i) == block(j) && !(causal && j > i)); }
  bool surely_full(const build::TileSpan& q, const build::TileSpan& k) const {
    return block(q.low) == block(k.high) && block(k.low) == block(q.high) && !(causal && k.high > q.low);
  }
};

/// j, a gathered column, in another block.
struct OtherBlock : SummarisedBlocks {
  bool allowed(int i, int j) const {
    return !(open && i == 0) && (causal ? block(j) < block(i) : block(j) != block(i));
  }
  bool surely_full(const build::TileSpan& q, const build::TileSpan& k) const {
    return !(open && q.low == 0) && (block(k.high) < block(q.low) || (!causal && block(k.low) > block(q.high)));
  }
};

Pattern sparse(int length, const SummarisedBlocks& blocks, const std::function<bool(int place)>& is_summary) {
  Pattern pattern{length, {}, {}};
  build::add_pass(pattern);
  build::add_part(pattern, OwnBlock{blocks}, [=, b = blocks](int tile, std::vector<int>& tiles) {
    const int low = tile * query_tile, high = std::min(low + query_tile, length) - 1;
    const bool all = b.open && tile == 0;
    const std::int64_t first = all ? 0 : b.shift + std::int64_t{std::max(b.block(low), 0)} * b.size;
    const std::int64_t end = all ? length : b.shift + (std::int64_t{b.block(high)} + 1) * b.size;
    for (std::int64_t k = first / key_tile; k * key_tile < std::min<std::int64_t>(end, length); ++k)
      tiles.push_back(static_cast<int>(k));
  });
  std::vector<int> columns;
  for (int j = 0; j < length; ++j)
    if ((blocks.open && j == 0) || (j >= blocks.shift && is_summary((j - blocks.shift) % blocks.size)))
      columns.push_back(j);
  const int lists = (static_cast<int>(columns.size()) + key_tile - 1) / key_tile;
  build::add_part(pattern, OtherBlock{blocks}, columns, [lists](int, std::vector<int>& tiles) {
    for (int k = 0; k < lists; ++k)
      tiles.push_back(k);
  });
  build::drop_empty_passes(pattern);
  return pattern;
}

void check(int length, int l, int c) {
  build::require(length >= 1, "a length of 1 or more");
  build::require(l >= 1, "a block of 1 position or more");
  build::require(c >= 1 && c <= l, "summary columns c with 1 <= c <= l");
}

} // namespace

Pattern sparse_both_ways(int length, int l, int c, const FirstSlot& first) {
  check(length, l, c);
  return sparse(length, {l, first.in_front ? 1 : 0, first.open, false}, [=](int place) { return place >= l - c; });
}

Pattern sparse_released(int length, int l, int c, bool first) {
  check(length, l, c);
  return sparse(length, {l, first ? 1 : 0, first, true}, [=](int place) { return place == 0 || place >= l - c; });
}

} // namespace weft
