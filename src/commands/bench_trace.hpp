#pragma once
#include "kernels/common/regions.hpp"
#include <string>
#include <vector>

namespace weft {

class Ranks;

/// Writes the spans of all ranks to one file, in the trace format of Chrome (JSON: "traceEvents", each a complete event
/// of phase "X" with `ts` and `dur` in microseconds): pid is the rank, tid 0 what the rank computes or waits for, tid 1
/// + b the bucket b of the gradient; `cat` is the span's name and args.number its number. Time begins at `begin` of
/// each rank, which all must have taken from the steady clock right behind a barrier. Called by all ranks; the root
/// writes.
void write_trace(const Ranks& ranks, const std::string& path, const std::vector<Span>& spans, double begin);

} // namespace weft
