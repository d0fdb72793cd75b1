#include "parallel/gradient_plan.hpp"
#include <algorithm>

namespace weft {

std::pair<std::int64_t, std::int64_t> Bucket::piece(int rank, int ranks) const {
  const auto cut = [&](int r) { return first + (last - first) / 16 * r / ranks * 16; };
  return {cut(rank), rank + 1 == ranks ? last : cut(rank + 1)};
}

GradientPlan::GradientPlan(int ranks_, std::int64_t extent_, std::int64_t slots_, std::size_t bucket_bytes)
    : ranks(ranks_), extent(extent_), slots(slots_) {
  const auto elements = std::max<std::int64_t>(1024, static_cast<std::int64_t>(bucket_bytes / sizeof(float)) / 16 * 16);
  for (std::int64_t last = extent; last > 0; last -= std::min(last, elements))
    buckets.push_back({std::max<std::int64_t>(0, last - elements), last});
  for (int r = 0; r < ranks; ++r) {
    const Share s = share_of(slots, r, ranks);
    nodes_of_rank.push_back(tree_cover(s.first, s.last, slots));
  }
}

std::size_t GradientPlan::incoming_nodes(int rank) const {
  std::size_t count = 0;
  for (int r = 0; r < ranks; ++r)
    count += r == rank ? 0 : nodes(r).size();
  return count;
}

std::int64_t GradientPlan::largest_piece(int rank) const {
  std::int64_t most = 0;
  for (const Bucket& bucket : buckets) {
    const auto [first, last] = bucket.piece(rank, ranks);
    most = std::max(most, last - first);
  }
  return most;
}

std::size_t GradientPlan::places(int rank) const {
  const Share share = share_of(slots, rank, ranks);
  std::size_t depth = 0;
  TreeStack stack(slots);
  for (std::int64_t slot = share.first; slot < share.last; ++slot) {
    depth = std::max(depth, stack.nodes().size() + 1);
    stack.push({0, slot}, 0, [](int, int) {});
  }
  return depth;
}

} // namespace weft
