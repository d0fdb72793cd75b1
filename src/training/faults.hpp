// Makes a fault of debug.fault happen.
#pragma once
#include "config/fault.hpp"
#include "parallel/ranks.hpp"

namespace weft {

/// Called at the beginning of every step (the first is 1). If it is the fault's step and rank: ends, stops or hangs the
/// process, throws, or from now on lets files fail (the checkpoint of this step is the first that cannot be written).
/// Returns true where the caller is to put a number that is not finite into its gradient.
bool strike(const Fault& fault, const Ranks& ranks, std::int64_t step);

} // namespace weft
