#include "model/attention_plans.hpp"
#include "config/patterns.hpp"
#include "model/patterns.hpp"

namespace weft {

AttentionPlans::AttentionPlans(const Config& config, std::int64_t front)
    : config_(config), whole_(config.model.context + front) {
  at(whole_);
}

const std::vector<AttentionPlan>& AttentionPlans::at(std::int64_t length) const {
  const auto known = by_length_.find(length);
  if (known != by_length_.end())
    return known->second;
  Config shorter = config_;
  shorter.model.context = length;
  std::vector<AttentionPlan>& plans = by_length_[length];
  if (const std::optional<Operation>& operation = pattern_row(config_.attention.pattern).operation) {
    if (operation->keys)
      plans.emplace_back(std::vector{operation->keys(shorter, static_cast<int>(length))},
                         static_cast<int>(config_.model.heads));
    return plans;
  }
  for (std::int64_t layer = 0; layer < pattern_period(config_); ++layer)
    plans.emplace_back(layer_patterns(shorter, layer), static_cast<int>(config_.model.heads));
  return plans;
}

const AttentionPlan& AttentionPlans::of(std::int64_t layer, std::int64_t length) const {
  const std::vector<AttentionPlan>& plans = at(length);
  return plans[static_cast<std::size_t>(layer) % plans.size()];
}

std::size_t AttentionPlans::bytes() const {
  std::size_t sum = 0;
  for (const AttentionPlan& plan : by_length_.at(whole_))
    sum += plan.host_bytes();
  return sum;
}

} // namespace weft
