#pragma once
#include "commands/bench_figures.hpp"

namespace weft {

/// What models have beside products, passes and the attention engine: linear attention and its random features, the
/// mixture of blocks and the normalisation of Sinkhorn's attention, hashing and sorting, the moving average of MEGA,
/// the diagonal recurrence, and the LSTM. lengths: N of all of them but the LSTM's; empty: one. Adds to `figures` and
/// prints each.
void bench_operations(Console& console, const Machine& machine, bool quick, const std::vector<std::int64_t>& lengths,
                      std::vector<Figure>& figures);

} // namespace weft
