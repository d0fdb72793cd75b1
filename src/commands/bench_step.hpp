#pragma once
#include <string>
#include <vector>

namespace weft {

class Ranks;

/// `weft bench INPUT.toml`: whole training steps of the input file's model, with random tokens in place of data:
/// forward, backward, the gradient's sum over micro-batches and ranks, its norm, the optimiser, the weights in the
/// storage type. Prints the median of a few steps after one to warm up, how it splits into matrix products, attention
/// and the rest (timed in steps of their own), its floor and the tokens per second; with `json` writes them; with
/// `trace` writes what happened when within the steps that were split (bench_trace.hpp). Nothing else is written. Runs
/// on all ranks. parallel.shard_optimizer is not followed: every rank updates all weights.
int bench_step(const Ranks& ranks, const std::string& input, const std::vector<std::string>& overrides, bool quick,
               const std::string& json, const std::string& trace);

/// A step's median time on the slowest rank and the largest peak memory of a process.
struct StepTime {
  double seconds, peak_bytes;
};

/// The first figures of the above alone, for a table of many models; prints nothing.
StepTime time_step(const Ranks& ranks, const std::string& input, const std::vector<std::string>& overrides, bool quick);

} // namespace weft
