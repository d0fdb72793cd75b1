#include "parallel/tree.hpp"

namespace weft {

void TreeStack::push(TreeNode node, int place, const TreeMerge& merge) {
  nodes_.push_back(node);
  places_.push_back(place);
  for (;;) {
    TreeNode& top = nodes_.back();
    const bool whole = top.first() == 0 && (std::int64_t{1} << top.level) >= total_;
    if (whole)
      return;
    const bool right = top.index % 2 == 1;
    if (!right) {
      // A left child whose sibling has no slots is its parent already.
      if ((top.index + 1) << top.level < total_)
        return;
      top = {top.level + 1, top.index / 2};
      continue;
    }
    if (nodes_.size() < 2 || nodes_[nodes_.size() - 2] != TreeNode{top.level, top.index - 1})
      return;
    merge(places_[places_.size() - 2], places_.back());
    nodes_.pop_back();
    places_.pop_back();
    nodes_.back() = {nodes_.back().level + 1, nodes_.back().index / 2};
  }
}

std::vector<TreeNode> tree_cover(std::int64_t first, std::int64_t last, std::int64_t total) {
  TreeStack stack(total);
  for (std::int64_t slot = first; slot < last; ++slot)
    stack.push({0, slot}, 0, [](int, int) {});
  return stack.nodes();
}

double tree_sum(const std::vector<double>& slots) {
  std::vector<double> values = slots;
  TreeStack stack(static_cast<std::int64_t>(slots.size()));
  for (std::size_t slot = 0; slot < slots.size(); ++slot)
    stack.push({0, static_cast<std::int64_t>(slot)}, static_cast<int>(slot), [&](int into, int from) {
      values[static_cast<std::size_t>(into)] += values[static_cast<std::size_t>(from)];
    });
  return values.empty() ? 0.0 : values[static_cast<std::size_t>(stack.places().front())];
}

} // namespace weft
