// The sum over ranks in rounds of pairs: halving the range on the way out, doubling it on the way back (Thakur,
// Rabenseifner and Gropp 2005, "Optimization of collective communication operations in MPICH", reduce-scatter and
// all-gather).
//
// In round s rank r meets rank r xor 2^s. Each gives away one half of the range that it still has and keeps the sum of
// the other: the partners hold siblings of level s of the tree over ranks, so the order of additions is the tree's own.
// After log2 R rounds each rank has one piece of the sum; the same rounds backwards, with copies for sums, spread it.
// Messages per rank and bucket: 2 log2 R, where the direct exchange has 2. Bytes: 2 (R-1)/R of the bucket, as
// there; and where neighbouring ranks share a host, all but the last 1/(ranks of a host) of them stay in the host.
#pragma once
#include "parallel/gradient_plan.hpp"
#include <vector>

namespace weft {

struct HalvingRound {
  int peer;
  Bucket keep, give; ///< of the flat gradient; either may be empty
};

/// Whether the ranks can sum in such rounds and gain by it: their number is a power of two, 4 or more, and each holds
/// one node of the tree, all of one level.
bool halves(const GradientPlan& plan);

/// What `rank` does with a bucket on the way out, first round first.
std::vector<HalvingRound> halving_rounds(const GradientPlan& plan, const Bucket& bucket, int rank);

/// Elements that come in at once at most, for any bucket.
std::int64_t halving_incoming(const GradientPlan& plan, int rank);

} // namespace weft
