#pragma once
#include "commands/bench_figures.hpp"

namespace weft {

/// The matrix products of a block of width 512 (and 256) as the model calls them: forward with bias, both backward; on
/// the host in turns with a bare product of the same shape (gemm/bare.hpp). Adds to `figures` and prints each.
void bench_products(Console& console, const Machine& machine, bool quick, std::vector<Figure>& figures);

/// Everything that is bound by memory: norm, activation, residual with and without dropout, loss, column sums, the
/// optimiser, the conversion of the weights, the gradient's norm and the addition of two gradients.
void bench_passes(Console& console, const Machine& machine, bool quick, std::vector<Figure>& figures);

} // namespace weft
