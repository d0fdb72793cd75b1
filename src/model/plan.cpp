#include "model/plan.hpp"
#include "config/config.hpp"
#include "kernels/attention/attention.hpp"
#include <algorithm>

namespace weft {

void Plan::product(const LinearShape& shape, bool again) {
  products_.push_back(shape);
  const double rows = static_cast<double>(shape.rows) / static_cast<double>(R);
  const double forward = 2 * rows * static_cast<double>(shape.inputs) * static_cast<double>(shape.outputs);
  costs_.matrix_flops_per_token += forward;
  backward_ += (again ? 3 : 2) * forward;
}

void Plan::weight_product(const LinearShape& shape, int times) {
  products_.push_back(shape);
  backward_ += times * 2 * static_cast<double>(shape.rows) / static_cast<double>(R) *
               static_cast<double>(shape.inputs) * static_cast<double>(shape.outputs);
}

void Plan::attention(const AttentionPlan& plan, std::int64_t key_width, std::int64_t value_width, bool again) {
  // keys() and tiles() are sums over heads; a key costs a dot product of width E and a sum of width Ev.
  const double per_key = 2 * static_cast<double>(key_width + value_width) / static_cast<double>(plan.length());
  const double forward = per_key * static_cast<double>(plan.keys());
  costs_.attention_flops_per_token += forward;
  costs_.executed_attention_flops_per_token +=
      per_key * static_cast<double>(plan.tiles()) * static_cast<double>(query_tile * key_tile);
  // The backward pass needs five products of a tile where the forward pass needs two.
  backward_ += (again ? 3.5 : 2.5) * forward;
}

void Plan::attention(double forward, double backward) {
  costs_.attention_flops_per_token += forward / static_cast<double>(R);
  costs_.executed_attention_flops_per_token += forward / static_cast<double>(R);
  backward_ += backward / static_cast<double>(R);
}

Piece<float> Plan::attention_workspace(const AttentionPlan& plan, const AttentionShape& shape, std::int64_t reach) {
  const std::size_t bytes =
      std::max(attention_workspace_bytes(plan, shape, false), attention_workspace_bytes(plan, shape, true, reach));
  return scratch<float>("attention", static_cast<std::int64_t>((bytes + 3) / 4));
}

ModelCosts Plan::costs() const {
  ModelCosts c = costs_;
  c.activation_bytes = arena_.bytes();
  c.backward_factor = backward_ / std::max(1.0, c.matrix_flops_per_token + c.attention_flops_per_token);
  return c;
}

Recompute recompute_of(const Config& config) {
  if (config.model.stream == "reversible") // all but the end of the stream is made again
    return Recompute::block;
  const std::string& word = config.model.recompute;
  return word == "block" ? Recompute::block : word == "attention" ? Recompute::attention : Recompute::none;
}

std::string block_name(std::int64_t layer, std::int64_t layers) {
  const std::string digits = std::to_string(layer);
  const std::size_t width = std::max<std::size_t>(2, std::to_string(layers - 1).size());
  return "block." + std::string(width - digits.size(), '0') + digits + ".";
}

} // namespace weft
