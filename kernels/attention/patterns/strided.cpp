// Strided attention, Child et al. 2019 (arXiv:1904.10509), section 4.3. With time transposed (all positions of residue
// 0 mod l, then of residue 1, ...) its second set {j <= i : (i - j) mod l = 0} is causal attention inside contiguous
// classes of N / l slots, so it costs what a block-diagonal form costs. The classes need not have equal lengths: tiles
// simply run over the transposed order, and a tile that straddles two classes is partial.
#include "kernels/attention/patterns/build.hpp"

namespace weft {
namespace {

/// j <= i, (i - j) mod l = 0
struct Residue {
  int l;
  bool allowed(int i, int j) const { return j <= i && (i - j) % l == 0; }
  bool surely_full(const build::TileSpan& q, const build::TileSpan& k) const {
    return q.residue >= 0 && q.residue == k.residue && k.high <= q.low;
  }
};

/// The same without the query's own position.
struct OlderResidue {
  int l;
  bool allowed(int i, int j) const { return i - j >= l && (i - j) % l == 0; }
  bool surely_full(const build::TileSpan& q, const build::TileSpan& k) const {
    return q.residue >= 0 && q.residue == k.residue && k.high < q.low;
  }
};

template <class Rule>
void add_residues(Pattern& pattern, Rule rule) {
  const std::vector<int> order = build::transposed_time(pattern.length, rule.l);
  build::add_pass(pattern, order);
  // Without an order either l = 1 (one class: all earlier tiles) or every class is a single position (its own tile).
  const build::Candidates candidates =
      rule.l > 1 && order.empty() ? build::Candidates([](int tile, std::vector<int>& tiles) { tiles.push_back(tile); })
                                  : build::same_class(order, rule.l);
  if (order.empty())
    build::add_part(pattern, rule, candidates);
  else
    build::add_part(pattern, rule, order, candidates);
}

void check(int length, int l) {
  build::require(length >= 1, "a length of 1 or more");
  build::require(l >= 1, "a stride of 1 or more");
}

} // namespace

Pattern strided_residues(int length, int l) {
  check(length, l);
  Pattern pattern{length, {}, {}};
  add_residues(pattern, Residue{l});
  return pattern;
}

Pattern strided_merged(int length, int l, int window) {
  build::require(window >= 0 && window <= l, "a window of 0 .. l keys");
  Pattern pattern = local(length, window > 0 ? window : l);
  add_residues(pattern, OlderResidue{l}); // the window already holds the query's own position
  build::drop_empty_passes(pattern);
  return pattern;
}

} // namespace weft
