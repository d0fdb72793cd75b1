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
  if (pattern_row(config_.attention.pattern).operation || released_local(config_))
    return plans;
  for (std::int64_t layer = 0; layer < pattern_period(config_); ++layer)
    plans.emplace_back(layer_patterns(shorter, layer), static_cast<int>(config_.model.heads));
  return plans;
}

const AttentionPlan& AttentionPlans::of(std::int64_t layer, std::int64_t length) const {
  const std::vector<AttentionPlan>& plans = at(length);
  return plans[static_cast<std::size_t>(layer) % plans.size()];
}

const AttentionPlan& AttentionPlans::made(std::int64_t length, const std::function<Pattern()>& build) const {
  const auto known = made_.find(length);
  if (known != made_.end())
    return known->second;
  return made_.emplace(length, AttentionPlan({build()}, static_cast<int>(config_.model.heads))).first->second;
}

std::size_t AttentionPlans::bytes() const {
  std::size_t sum = 0;
  for (const AttentionPlan& plan : by_length_.at(whole_))
    sum += plan.host_bytes();
  if (const auto own = made_.find(whole_); own != made_.end())
    sum += own->second.host_bytes();
  return sum;
}

} // namespace weft
