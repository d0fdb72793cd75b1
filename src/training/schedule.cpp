#include "training/schedule.hpp"
#include <algorithm>
#include <cmath>
#include <numbers>

namespace weft {

namespace {
/// From a at x = 0 to b at x = 1 along half a cosine.
double half_cosine(double a, double b, double x) {
  return b + (a - b) * 0.5 * (1 + std::cos(std::numbers::pi * std::clamp(x, 0.0, 1.0)));
}

/// From `first` up or down to `middle` at peak_at * steps, then to `last`.
double one_cycle(double peak_at, std::int64_t step, std::int64_t steps, double first, double middle, double last) {
  const double t = static_cast<double>(step), all = static_cast<double>(steps), peak = std::max(1.0, peak_at * all);
  return t <= peak ? half_cosine(first, middle, t / peak)
                   : half_cosine(middle, last, (t - peak) / std::max(1.0, all - peak));
}
} // namespace

double first_moment_decay(const Config& config, std::int64_t step, std::int64_t steps) {
  const auto& s = config.schedule;
  const double beta1 = config.optimizer.beta1;
  return s.kind == "one_cycle" && s.beta1_at_peak > 0 ? one_cycle(s.peak_at, step, steps, beta1, s.beta1_at_peak, beta1)
                                                      : beta1;
}

double learning_rate(const Config& config, std::int64_t step, std::int64_t steps) {
  const auto& s = config.schedule;
  const double rate = config.optimizer.learning_rate, t = static_cast<double>(step);
  const double warmup = static_cast<double>(s.warmup_steps), all = static_cast<double>(steps);
  if (s.kind == "one_cycle")
    return rate * one_cycle(s.peak_at, step, steps, 1.0 / 25, 1, s.final_factor);
  if (s.kind == "rsqrt") { // counts the steps before this one
    const double s0 = t - 1;
    return rate * std::min(1.0, s0 / warmup) / std::sqrt(std::max(s0, warmup));
  }
  if (s.kind == "cosine" && s.cycle_steps > 0) {
    const double s0 = t - 1, cycles = std::max(0.0, s0 - warmup) / static_cast<double>(s.cycle_steps);
    return rate * (s0 < warmup ? s0 / warmup : 1) * half_cosine(1, s.final_factor, cycles - std::floor(cycles));
  }
  if (step < s.warmup_steps && s.initial_factor > 0)
    return rate * (s.initial_factor + (1 - s.initial_factor) * (t - 1) / (warmup - 1));
  if (step < s.warmup_steps)
    return rate * t / warmup;
  const double x = all > warmup ? std::min(1.0, (t - warmup) / (all - warmup)) : 0.0;
  if (s.kind == "linear")
    return rate * (1 + (s.final_factor - 1) * x);
  if (s.kind == "cosine")
    return rate * half_cosine(1, s.final_factor, x);
  if (s.kind == "step" && s.step_every > 0) {
    const std::int64_t cuts = (step - 1) / s.step_every;
    return rate * std::pow(s.step_factor, static_cast<double>(cuts));
  }
  if (s.kind == "step") {
    const auto passed = std::count_if(s.step_milestones.begin(), s.step_milestones.end(),
                                      [&](std::int64_t milestone) { return milestone <= step; });
    return rate * std::pow(s.step_factor, static_cast<double>(passed));
  }
  return rate;
}

} // namespace weft
