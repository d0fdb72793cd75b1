// How long a step takes, found by running part of one.
#pragma once
#include "config/config.hpp"
#include "model/model.hpp"
#include "tasks/task.hpp"
#include <optional>

namespace weft {

/// Seconds of a training step of one of `ranks` ranks on `task`'s rows: the best of three rounds over a few
/// micro-batches, times the rank's micro-batches, and the update of all weights; what ranks send each other is not in
/// it. Allocates the model. Nothing on a device (weft bench INPUT times steps there), where that would take long
/// (`expected`: seconds of a step by the rate of matrix products), or more than half of the memory that is free
/// (`bytes`: the rank's plan).
std::optional<double> trial_step_seconds(const Config& config, Model& model, const Task& task, int ranks,
                                         double expected, std::size_t bytes);

} // namespace weft
