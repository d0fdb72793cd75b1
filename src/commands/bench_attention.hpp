#pragma once
#include "commands/bench_figures.hpp"

namespace weft {

/// Attention forward and backward, two heads: dense, local, fixed and strided against N at head width 64 (quick: up to
/// 2,048; `lengths`, unless empty: these instead), and at head widths 32 and 128 for one N (not with `lengths`). The
/// floor counts the tiles that are run: two products of a tile forward, five backward. Adds to `figures` and prints
/// each.
void bench_attention(Console& console, const Machine& machine, bool quick, const std::vector<std::int64_t>& lengths,
                     std::vector<Figure>& figures);

} // namespace weft
