#pragma once
#include "config/config.hpp"
#include "tasks/task.hpp"
#include <cstdint>

namespace weft {

/// Steps of a whole run: training.steps, or training.epochs times the steps of an epoch (rows of an epoch that do not
/// fill a batch are left out). Throws InputError where an epoch has fewer rows than a batch, and where the schedule
/// needs more steps than training.epochs makes.
struct RunLength {
  std::int64_t steps_per_epoch, steps;
};
RunLength run_length(const Config& config, const Task& train);

} // namespace weft
