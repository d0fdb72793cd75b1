// How the flat gradient is cut for its sum over the ranks: buckets, the piece of each that a rank adds up, and the tree
// nodes that every rank brings. Sizes only; parallel/gradients.hpp does the work.
#pragma once
#include "parallel/ranks.hpp"
#include "parallel/tree.hpp"
#include <cstddef>
#include <utility>
#include <vector>

namespace weft {

/// Elements [first, last) of the flat gradient.
struct Bucket {
  std::int64_t first, last;
  std::int64_t size() const { return last - first; }
  /// The part that `rank` adds up; pieces end on cache lines. May be empty.
  std::pair<std::int64_t, std::int64_t> piece(int rank, int ranks) const;
};

struct GradientPlan {
  int ranks;
  std::int64_t extent, slots;
  std::vector<Bucket> buckets;                      ///< from the end of the gradient to its start
  std::vector<std::vector<TreeNode>> nodes_of_rank; ///< what each rank holds after its own slots, in the tree's order

  GradientPlan(int ranks, std::int64_t extent, std::int64_t slots, std::size_t bucket_bytes);

  const std::vector<TreeNode>& nodes(int rank) const { return nodes_of_rank[static_cast<std::size_t>(rank)]; }
  /// Nodes of all other ranks: what `rank` receives its piece of, for every bucket.
  std::size_t incoming_nodes(int rank) const;
  /// Elements of the largest piece of any bucket that `rank` adds up.
  std::int64_t largest_piece(int rank) const;
  /// Gradients that `rank` holds at the same time while it adds up its slots.
  std::size_t places(int rank) const;
};

} // namespace weft
