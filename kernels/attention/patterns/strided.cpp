// Strided attention, Child et al. 2019 (arXiv:1904.10509), section 4.3. With time transposed (all positions of residue
// 0 mod l, then of residue 1, ...) its second set {j <= i : (i - j) mod l = 0} is causal attention inside contiguous
// classes of N / l slots, so it costs what a block-diagonal form costs. The classes need not have equal lengths: tiles
// simply run over the transposed order, and a tile that straddles two classes is partial.
#include "kernels/attention/pattern.hpp"

namespace weft {
namespace {

void add_residues(Pattern& pattern, Rule rule) {
  const std::vector<int> order = detail::transposed_time(pattern.length, rule.l);
  add_pass(pattern, order);
  // Without an order either l = 1 (one class: all earlier tiles) or every class is a single position (its own tile).
  const Candidates candidates = rule.l > 1 && order.empty()
                                    ? Candidates([](int tile, std::vector<int>& tiles) { tiles.push_back(tile); })
                                    : detail::same_class(order, rule.l);
  if (order.empty())
    add_part(pattern, rule, candidates);
  else
    add_part(pattern, rule, order, candidates);
}

void check(int length, int l) {
  detail::require(length >= 1, "a length of 1 or more");
  detail::require(l >= 1, "a stride of 1 or more");
}

} // namespace

Pattern strided_residues(int length, int l) {
  check(length, l);
  Pattern pattern{length, {}, {}};
  add_residues(pattern, {Rule::residue, l});
  return pattern;
}

Pattern strided_merged(int length, int l, int window) {
  detail::require(window >= 0 && window <= l, "a window of 0 .. l keys");
  Pattern pattern = local(length, window > 0 ? window : l);
  add_residues(pattern, {Rule::residue_older, l}); // the window already holds the query's own position
  drop_empty_passes(pattern);
  return pattern;
}

} // namespace weft
