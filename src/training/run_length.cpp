#include "training/run_length.hpp"
#include "io/error.hpp"
#include <algorithm>
#include <cmath>
#include <fmt/core.h>

namespace weft {

RunLength run_length(const Config& config, const Task& train) {
  RunLength length{train.per_epoch() / config.training.batch, config.training.steps};
  if (length.steps_per_epoch == 0)
    throw InputError("training.batch is " + std::to_string(config.training.batch) + " and an epoch of " +
                     config.data.path + " has only " + std::to_string(train.per_epoch()) + " sequences of " +
                     std::to_string(config.model.context) + " tokens; take a smaller training.batch or model.context");
  if (length.steps > 0)
    return length; // the input file alone tells whether its schedule fits
  const double steps = config.training.epochs * static_cast<double>(length.steps_per_epoch);
  if (steps > 0x1p52)
    throw InputError(fmt::format("training.epochs = {} makes {:.3g} steps of {} each epoch; take fewer",
                                 config.training.epochs, steps, length.steps_per_epoch));
  length.steps = std::max<std::int64_t>(1, std::llround(steps));
  const auto& schedule = config.schedule;
  const std::int64_t last = schedule.step_milestones.empty() ? 0 : schedule.step_milestones.back();
  const std::int64_t warmup = schedule.kind == "rsqrt" ? 0 : schedule.warmup_steps; // that one may end before its turn
  if (std::max(warmup, last) >= length.steps)
    throw InputError(
        fmt::format("{} is {}, expected below the {} steps that training.epochs = {} makes of {} (an epoch "
                    "has {})",
                    last >= length.steps ? "schedule.step_milestones" : "schedule.warmup_steps",
                    last >= length.steps ? last : schedule.warmup_steps, length.steps, config.training.epochs,
                    config.data.path, length.steps_per_epoch));
  return length;
}

} // namespace weft
