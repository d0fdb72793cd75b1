// The fixed order of every sum over the micro-batches of a step: a binary tree over slots 0 .. total-1. A node of level
// j and index k stands for the slots [k 2^j, (k+1) 2^j) that exist; its value is its left child's value plus its right
// child's, or the left child's alone where no slot exists on the right. Which rank computes a slot does not enter, so
// the sum has the same bits on any number of ranks.
#pragma once
#include <cstdint>
#include <functional>
#include <vector>

namespace weft {

struct TreeNode {
  int level;
  std::int64_t index;
  std::int64_t first() const { return index << level; }
  bool operator==(const TreeNode&) const = default;
};

/// Called for an addition: the value kept at place `into` becomes places[into] + places[from].
using TreeMerge = std::function<void(int into, int from)>;

/// A stack of nodes that grows slot by slot from the left and merges siblings as soon as both are there.
class TreeStack {
 public:
  explicit TreeStack(std::int64_t total) : total_(total) {}

  /// Puts a node on top, kept at `place` (any number the caller likes), and merges what can be merged, calling `merge`
  /// for each addition. Nodes must come in the order of their slots.
  void push(TreeNode node, int place, const TreeMerge& merge);

  const std::vector<TreeNode>& nodes() const { return nodes_; }
  const std::vector<int>& places() const { return places_; }

 private:
  std::int64_t total_;
  std::vector<TreeNode> nodes_;
  std::vector<int> places_;
};

/// The nodes that are left on the stack after pushing the slots [first, last): what a rank has to send.
std::vector<TreeNode> tree_cover(std::int64_t first, std::int64_t last, std::int64_t total);

/// The sum of one number per slot in the tree's order.
double tree_sum(const std::vector<double>& slots);

} // namespace weft
