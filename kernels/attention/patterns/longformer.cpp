// Longformer's window with global positions (Beltagy, Peters and Cohan 2020, arXiv:2004.05150, section 3.1). With a
// dilation, time is transposed as in strided attention: every residue class is a contiguous run in which the window is
// one without holes.
#include "kernels/attention/patterns/build.hpp"
#include <algorithm>

namespace weft {
namespace {

enum class Rows { all, local, global };

struct GlobalWindow {
  int l; ///< the dilation, by which spans count residues
  int left, right, global;
  Rows rows;

  bool near(int i, int j) const {
    const std::int64_t offset = std::int64_t{j} - i;
    return offset >= -std::int64_t{left} * l && offset <= std::int64_t{right} * l && offset % l == 0;
  }
  bool allowed(int i, int j) const {
    if (i < global)
      return rows != Rows::local;
    return rows != Rows::global && (j < global || near(i, j));
  }
  bool surely_full(const build::TileSpan& q, const build::TileSpan& k) const {
    if (q.high < global)
      return rows != Rows::local;
    const bool same_class = q.residue >= 0 && q.residue == k.residue;
    return rows != Rows::global && q.low >= global &&
           (k.high < global || (same_class && near(q.low, k.high) && near(q.high, k.low)));
  }
};

/// A window with more keys than positions is as good as one of all of them.
int within(int length, int keys) { return std::min(keys, length); }

/// Key tiles for a query tile: those of its slots' windows, those with global positions, and all where a query is
/// global.
build::Candidates tiles_around(const std::vector<int>& order, const GlobalWindow& rule, int length) {
  std::vector<bool> has_global(static_cast<std::size_t>((length + key_tile - 1) / key_tile));
  for (int slot = 0; slot < length; ++slot)
    if ((order.empty() ? slot : order[static_cast<std::size_t>(slot)]) < rule.global)
      has_global[static_cast<std::size_t>(slot / key_tile)] = true;
  return [=](int tile, std::vector<int>& tiles) {
    const int low = tile * query_tile, high = std::min(low + query_tile, length) - 1;
    const int first = std::max(low - rule.left, 0) / key_tile,
              last = std::min(high + rule.right, length - 1) / key_tile;
    const bool local_rows = rule.rows != Rows::global, all = rule.rows != Rows::local && has_global[tile];
    for (int k = 0; k < static_cast<int>(has_global.size()); ++k)
      if (all || (local_rows && ((k >= first && k <= last) || has_global[k])))
        tiles.push_back(k);
  };
}

Pattern build_window(int length, const SlidingWindow& w, Rows rows) {
  build::require(length >= 1, "a length of 1 or more");
  build::require(w.left >= 0 && w.right >= 0, "a window of no fewer than 0 keys on either side");
  build::require(w.dilation >= 1, "a dilation of 1 or more");
  build::require(w.global >= 0, "a number of global positions that is not negative");
  Pattern pattern{length, {}, {}};
  const int dilation = std::min(w.dilation, length), global = std::min(w.global, length);
  const std::vector<int> order = dilation > 1 ? build::transposed_time(length, dilation) : std::vector<int>{};
  const GlobalWindow rule{dilation, within(length, w.left), within(length, w.right), global, rows};
  build::add_pass(pattern, order);
  if (order.empty())
    build::add_part(pattern, rule, tiles_around(order, rule, length));
  else
    build::add_part(pattern, rule, order, tiles_around(order, rule, length));
  return pattern;
}

} // namespace

Pattern longformer(int length, const SlidingWindow& window) { return build_window(length, window, Rows::all); }
Pattern longformer_local(int length, const SlidingWindow& window) { return build_window(length, window, Rows::local); }
Pattern global_rows(int length, int global) { return build_window(length, {0, 0, 1, global}, Rows::global); }

} // namespace weft
