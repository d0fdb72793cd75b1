// What the training loop does between steps: evaluation and checkpoints.
#include "training/best.hpp"
#include "training/clock.hpp"
#include "training/trainer.hpp"
#include <algorithm>
#include <cmath>
#include <fmt/core.h>

namespace weft {

bool Trainer::evaluation_due() const {
  if (state_.step == 0 || state_.evaluated_at == state_.step || !splits_.valid)
    return false;
  const std::int64_t every = config_.evaluation.every_steps;
  return (every > 0 && state_.step % every == 0) || state_.step % length_.steps_per_epoch == 0 ||
         state_.step == length_.steps;
}

bool Trainer::evaluate_valid() {
  const Watchdog::During phase(watchdog_, Watchdog::Phase::evaluating);
  const double begin = now();
  const Evaluation result =
      evaluate(model_, *splits_.valid, config_, ranks_, state_.step, {}, [&] { return stops_.stop_asked(); });
  if (result.left)
    return false;
  saved_step_ = -1;
  state_.evaluated_at = state_.step;
  best_due_ = note_best(result, state_, config_);
  if (ranks_.root())
    report_valid(result, now() - begin, best_due_);
  return true;
}

void Trainer::report_valid(const Evaluation& result, double seconds, bool better) {
  EpochRow row;
  row.epoch = state_.epoch;
  row.step = state_.step;
  const std::int64_t since = metrics_.epochs().empty() ? 0 : metrics_.epochs().back().step;
  double sum = 0, count = 0;
  for (const StepRow& step : metrics_.steps())
    if (step.step > since && std::isfinite(step.loss)) {
      sum += step.loss;
      ++count;
    }
  row.train_loss = count > 0 ? sum / count : not_measured;
  row.valid_loss = result.loss;
  row.valid_accuracy = result.accuracy;
  row.seconds = seconds;
  metrics_.add_epoch(row);
  report_scalars("valid", result);
  console_.line(fmt::format("step {}, epoch {:.2f}: valid {} in {}{}", state_.step, state_.epoch, scores_text(result),
                            human_seconds(row.seconds), better ? ", the best so far" : ""));
  if (state_.stopped_early)
    console_.line(fmt::format("early stop: {} evaluations in a row were no better (training.patience)",
                              state_.evaluations_without_better));
}

bool Trainer::evaluate_test() {
  if (!config_.evaluation.test_at_end || !splits_.test)
    return true;
  const Watchdog::During phase(watchdog_, Watchdog::Phase::evaluating);
  const Evaluation result =
      evaluate(model_, *splits_.test, config_, ranks_, state_.step, {}, [&] { return stops_.stop_asked(); });
  if (result.left)
    return false;
  if (!ranks_.root())
    return true;
  metrics_.set_final(result.loss, result.accuracy);
  report_scalars("test", result);
  console_.line(fmt::format("test {} (weights of step {})", scores_text(result), state_.step));
  return true;
}

bool Trainer::checkpoint_due() const {
  const auto& c = config_.checkpoint;
  // Rank 0's clock decides for all. Where a checkpoint holds up the steps, the next one waits 200 times as long.
  const CheckpointWriter::Cost& cost = checkpoints_.cost();
  const double interval = std::max(c.every_seconds, cost.saves > 0 ? 200 * cost.waited_seconds / cost.saves : 0);
  const bool late = c.every_seconds > 0 && ranks_.maximum(ranks_.root() ? now() - last_save_ - interval : -1.0) >= 0;
  return late || (c.every_steps > 0 && state_.step % c.every_steps == 0) || state_.step == length_.steps;
}

/// newest = false: only best.h5.
void Trainer::save(bool newest, bool waited_for) {
  const Watchdog::During phase(watchdog_, Watchdog::Phase::saving);
  CheckpointWriter::Request request;
  request.attributes = state_attributes(state_, config_, ranks_.size());
  request.attributes.insert(about_.begin(), about_.end());
  request.newest = newest;
  request.waited_for = waited_for || !config_.checkpoint.behind;
  request.copy = best_due_ ? folder_.best() : "";
  if (ranks_.root()) {
    // A resumed run continues the rows, so those up to this step must lie on the disk before the checkpoint does.
    request.first = [path = folder_.metrics(), rows = metrics_] { rows.write(path); };
    if (events_)
      events_->flush();
    last_write_ = now();
  }
  checkpoints_.start(state_, std::move(request));
  best_due_ = false;
  if (newest) {
    last_save_ = now();
    saved_step_ = state_.step;
  }
}

void Trainer::finish_saving() {
  const Watchdog::During phase(watchdog_, Watchdog::Phase::saving);
  checkpoints_.finish();
}

std::string Trainer::checkpoint_cost() const {
  const CheckpointWriter::Cost& cost = checkpoints_.cost();
  const double total = now() - started_;
  return fmt::format("checkpoints: {} written, {} each; the steps waited {} for them, {:.2f} % of {}", cost.saves,
                     human_seconds(cost.saves > 0 ? cost.behind_seconds / cost.saves : 0),
                     human_seconds(cost.waited_seconds), 100 * cost.waited_seconds / total, human_seconds(total));
}

} // namespace weft
