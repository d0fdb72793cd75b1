#include "model/attention_plans.hpp"
#include "config/patterns.hpp"
#include "model/patterns.hpp"

namespace weft {

AttentionPlans::AttentionPlans(const Config& config) : config_(config), whole_(slots_of(config)) { at(whole_); }

const AttentionPlans::Plans& AttentionPlans::at(std::int64_t length) const {
  const auto known = by_length_.find(length);
  if (known != by_length_.end())
    return known->second;
  Plans& plans = by_length_[length];
  const int H = static_cast<int>(config_.model.heads);
  if (released_local(config_)) // its layer makes its own
    return plans;
  if (const std::optional<Operation>& operation = pattern_row(config_.attention.pattern).operation) {
    if (operation->keys)
      plans.rows.emplace_back(std::vector{operation->keys(config_, static_cast<int>(length))}, H);
    return plans;
  }
  const bool apart = has_global_rows(config_);
  for (std::int64_t layer = 0; layer < pattern_period(config_); ++layer) {
    const auto built = [&](QueryRows rows) { return layer_patterns(config_, layer, length, rows); };
    plans.rows.emplace_back(built(apart ? QueryRows::without_global : QueryRows::all), H);
    if (apart)
      plans.global_rows.emplace_back(built(QueryRows::global), H);
  }
  return plans;
}

const AttentionPlan& AttentionPlans::of(std::int64_t layer, std::int64_t length) const {
  const std::vector<AttentionPlan>& plans = at(length).rows;
  return plans[static_cast<std::size_t>(layer) % plans.size()];
}

const AttentionPlan& AttentionPlans::global_rows(std::int64_t layer, std::int64_t length) const {
  const std::vector<AttentionPlan>& plans = at(length).global_rows;
  return plans[static_cast<std::size_t>(layer) % plans.size()];
}

const AttentionPlan& AttentionPlans::made(std::int64_t length, const std::function<Pattern()>& build,
                                          std::int64_t which) const {
  const std::pair<std::int64_t, std::int64_t> key{length, which};
  const auto known = made_.find(key);
  if (known != made_.end())
    return known->second;
  return made_.emplace(key, AttentionPlan({build()}, static_cast<int>(config_.model.heads))).first->second;
}

std::size_t AttentionPlans::bytes() const {
  std::size_t sum = 0;
  for (const std::vector<AttentionPlan>* plans : {&by_length_.at(whole_).rows, &by_length_.at(whole_).global_rows})
    for (const AttentionPlan& plan : *plans)
      sum += plan.host_bytes();
  for (const auto& [key, plan] : made_)
    if (key.first == whole_)
      sum += plan.host_bytes();
  return sum;
}

} // namespace weft
