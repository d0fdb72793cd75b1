// Positions of one residue see each other, also the later ones. Not causal. It is what the Long Range Arena's released
// code makes of Local attention (models/local): a reshape that lays the blocks side by side along the wrong axis. Time
// is transposed as in strided.cpp, so that a class is a run of slots.
#include "kernels/attention/patterns/build.hpp"
#include <algorithm>

namespace weft {
namespace {

struct SameResidue {
  int l;
  bool allowed(int i, int j) const { return i % l == j % l; }
  bool surely_full(const build::TileSpan& q, const build::TileSpan& k) const {
    return q.residue >= 0 && q.residue == k.residue;
  }
};

} // namespace

Pattern residues_bidirectional(int length, int l) {
  build::require(length >= 1, "a length of 1 or more");
  build::require(l >= 1, "a stride of 1 or more");
  Pattern pattern{length, {}, {}};
  const std::vector<int> order = build::transposed_time(length, l);
  build::add_pass(pattern, order);
  const auto residue = [length, l, order](int slot) {
    return (order.empty() ? slot : order[static_cast<std::size_t>(slot)]) % l;
  };
  const build::Candidates candidates = [length, residue](int tile, std::vector<int>& tiles) {
    int begin = tile * query_tile, last = std::min(begin + query_tile, length) - 1;
    for (const int own = residue(begin); begin > 0 && residue(begin - 1) == own; --begin)
      ;
    for (const int own = residue(last); last + 1 < length && residue(last + 1) == own; ++last)
      ;
    for (int k = begin / key_tile; k <= last / key_tile; ++k)
      tiles.push_back(k);
  };
  if (order.empty())
    build::add_part(pattern, SameResidue{l}, candidates);
  else
    build::add_part(pattern, SameResidue{l}, order, candidates);
  return pattern;
}

} // namespace weft
