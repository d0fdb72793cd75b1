#include "training/best.hpp"
namespace weft {

bool note_best(const Evaluation& result, TrainingState& state, const std::string& by, std::int64_t patience) {
  const bool better =
      by == "accuracy" ? result.accuracy > state.best_valid_accuracy : result.loss < state.best_valid_loss;
  if (better) {
    state.best_valid_loss = result.loss;
    state.best_valid_accuracy = result.accuracy;
  }
  state.evaluations_without_better = better ? 0 : state.evaluations_without_better + 1;
  if (patience > 0 && state.evaluations_without_better >= patience)
    state.stopped_early = true;
  return better;
}

} // namespace weft
