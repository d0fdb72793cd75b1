#pragma once
#include "commands/bench_figures.hpp"

namespace weft {

struct AttentionBench {
  bool quick = false;
  std::vector<std::int64_t> lengths; ///< empty: 1,024 to 65,536 (quick: to 2,048)
  double budget = 10;                ///< seconds that a figure may take, its call to warm up included
};

/// Attention forward and backward, two heads: dense, local, fixed and strided against N at head width 64, and at head
/// widths 32 and 128 for one N (not with lengths of one's own). A long call is repeated less often; a length is left
/// out, and this is said, where two calls would take longer than the budget, judged by the length before. The floor
/// counts the tiles that are run: two products of a tile forward, five backward. Adds to `figures` and prints each.
void bench_attention(Console& console, const Machine& machine, const AttentionBench& asked,
                     std::vector<Figure>& figures);

} // namespace weft
