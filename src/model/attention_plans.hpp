// The engine's plans of a model: what each layer attends with, for every length that a micro-batch has.
#pragma once
#include "config/config.hpp"
#include "kernels/attention/attention.hpp"
#include <functional>
#include <map>
#include <utility>
#include <vector>

namespace weft {

class AttentionPlans {
 public:
  /// Those of the whole length, with the slots in front (slots_of); the plans of shorter micro-batches are made when
  /// they are first asked for.
  explicit AttentionPlans(const Config& config);
  AttentionPlans(const AttentionPlans&) = delete;
  AttentionPlans& operator=(const AttentionPlans&) = delete;

  /// Not where attention.pattern is an operation that does not run through the engine: it has none.
  const AttentionPlan& of(std::int64_t layer, std::int64_t length) const;
  /// The rows of global positions, which `of` then leaves out (has_global_rows).
  const AttentionPlan& global_rows(std::int64_t layer, std::int64_t length) const;
  /// What a layer attends with that has a key set of its own: `build`, the same for every layer, is called the first
  /// time that this length is asked for, and this one of its key sets where there are more.
  const AttentionPlan& made(std::int64_t length, const std::function<Pattern()>& build, std::int64_t which = 0) const;
  std::size_t bytes() const; ///< memory of the tables of the whole length

 private:
  struct Plans {
    std::vector<AttentionPlan> rows, global_rows; ///< layer r uses entry r mod size
  };
  const Plans& at(std::int64_t length) const;

  Config config_;
  std::int64_t whole_;
  mutable std::map<std::int64_t, Plans> by_length_;
  mutable std::map<std::pair<std::int64_t, std::int64_t>, AttentionPlan> made_; ///< by length and which
};

} // namespace weft
