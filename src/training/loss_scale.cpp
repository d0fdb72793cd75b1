#include "training/loss_scale.hpp"
#include "config/validate.hpp"
#include <fmt/core.h>
#include <stdexcept>

namespace weft {

LossScale::LossScale(const Config& config) {
  if (config.run.precision != "fp16")
    return;
  value_ = config.optimizer.loss_scale;
  growth_steps_ = config.optimizer.loss_scale_growth_steps;
}

void LossScale::restore(double value, std::int64_t good_steps) {
  if (!moves())
    return;
  if (!is_loss_scale(value) || good_steps < 0)
    throw std::invalid_argument(
        fmt::format("a loss scale of {:g} after {} good steps, expected a power of two from {:g} to {:g}", value,
                    good_steps, least_loss_scale, largest_loss_scale));
  value_ = value;
  good_steps_ = good_steps;
}

bool LossScale::good_step() {
  if (!moves() || ++good_steps_ < growth_steps_)
    return false;
  good_steps_ = 0;
  if (value_ >= largest_loss_scale)
    return false;
  value_ *= 2;
  return true;
}

bool LossScale::overflow() {
  good_steps_ = 0;
  if (value_ <= least_loss_scale)
    return false;
  value_ /= 2;
  return true;
}

} // namespace weft
