// `weft bench FOLDER --arena`: speed and memory of all models of a task, as the Long Range Arena's second table.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace weft {

struct ArenaBench {
  std::string folder;                                           ///< of input files; "base" is not a model
  std::vector<std::string> overrides;                           ///< for all of them; MODEL:section.key=value for one
  std::vector<std::int64_t> lengths = {1024, 2048, 3072, 4096}; ///< model.context
  std::int64_t batch = 4;                                       ///< sequences of a step, one micro-batch
  bool quick = false;
  std::string json; ///< "": none
};

/// Every cell, a model at a length, is a process of its own, so that its peak memory is its own and one that fails ends
/// no table; the models take turns at every length. Prints steps per second and peak memory, both also as a multiple of
/// the Transformer's ("transformer.toml"; without it there are no multiples) beside the published multiples, and the
/// exponent of time against N. Returns exit_done where every cell has a figure.
int bench_arena(const ArenaBench& options);

} // namespace weft
