// Which evaluation was the best one: it decides on checkpoints/best.h5 and on early stopping.
#pragma once
#include "config/config.hpp"
#include "training/evaluation.hpp"
#include "training/state.hpp"
#include <string>

namespace weft {

/// Enters an evaluation on the validation split in the state, and returns whether it is better than all before: a lower
/// loss, or a higher accuracy where `by` (evaluation.best) is "accuracy"; an equal one is not. After `patience`
/// evaluations in a row that were no better (0: never) the state is stopped_early.
bool note_best(const Evaluation& result, TrainingState& state, const std::string& by, std::int64_t patience);

inline bool note_best(const Evaluation& result, TrainingState& state, const Config& config) {
  return note_best(result, state, config.evaluation.best, config.training.patience);
}

} // namespace weft
