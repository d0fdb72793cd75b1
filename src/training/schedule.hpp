#pragma once
#include "config/config.hpp"

namespace weft {

/// The learning rate of optimiser step `step` (1 for the first) of `steps` in all, a factor f times
/// optimizer.learning_rate, with w = schedule.warmup_steps and e = schedule.final_factor:
///   step < w:  f = step / w, or with i = schedule.initial_factor > 0 f = i + (1 - i) (step - 1) / (w - 1), whatever
///              the kind (but one_cycle, rsqrt and a cosine with cycle_steps, which have their own rise)
///   constant:  1
///   linear:    1 + (e - 1) x,                     x = (step - w) / (steps - w)
///   cosine:    e + (1 - e) (1 + cos(pi x)) / 2    (Child et al. 2019, section 6)
///              with C = schedule.cycle_steps > 0 that of the Long Range Arena's code, s = step - 1 as in rsqrt:
///              min(1, s / w) (e + (1 - e) (1 + cos(pi frac(max(0, s - w) / C))) / 2)
///   step:      step_factor ^ (number of milestones <= step), or with n = step_every > 0
///              step_factor ^ ((step - 1) div n): steps 1 .. n, an epoch, have the whole rate
///   rsqrt:     min(1, s / w) / sqrt(max(s, w)), s = step - 1: the factor rule of the Long Range Arena's code, which
///              takes the rate from the count of steps before the update, so that the first update has rate 0
///   one_cycle: from 1/25 up to 1 at peak_at * steps, then down to e, both along half a cosine (Smith and Topin 2018)
double learning_rate(const Config& config, std::int64_t step, std::int64_t steps);

/// The decay of the first moment in that step: optimizer.beta1, or with one_cycle and schedule.beta1_at_peak from it to
/// that one at the peak and back, both along half a cosine.
double first_moment_decay(const Config& config, std::int64_t step, std::int64_t steps);

} // namespace weft
