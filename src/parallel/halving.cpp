#include "parallel/halving.hpp"
#include <algorithm>
#include <bit>

namespace weft {

bool halves(const GradientPlan& plan) {
  if (plan.ranks < 4 || !std::has_single_bit(static_cast<unsigned>(plan.ranks)))
    return false;
  for (int r = 0; r < plan.ranks; ++r)
    if (plan.nodes(r).size() != 1 || plan.nodes(r).front() != TreeNode{plan.nodes(0).front().level, r})
      return false;
  return true;
}

std::vector<HalvingRound> halving_rounds(const GradientPlan& plan, const Bucket& bucket, int rank) {
  std::vector<HalvingRound> rounds;
  Bucket range = bucket;
  for (int bit = 1; bit < plan.ranks; bit *= 2) {
    const std::int64_t middle = range.first + range.size() / 32 * 16; // halves end on cache lines
    const Bucket low{range.first, middle}, high{middle, range.last};
    const bool upper = (rank & bit) != 0;
    rounds.push_back({rank ^ bit, upper ? high : low, upper ? low : high});
    range = rounds.back().keep;
  }
  return rounds;
}

std::int64_t halving_incoming(const GradientPlan& plan, int rank) {
  std::int64_t most = 0;
  for (const Bucket& bucket : plan.buckets)
    most = std::max(most, halving_rounds(plan, bucket, rank).front().keep.size());
  return most;
}

} // namespace weft
