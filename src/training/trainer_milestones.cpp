// What the training loop does between steps: evaluation, checkpoints, metrics.
#include "io/checkpoint_file.hpp"
#include "io/error.hpp"
#include "training/trainer.hpp"
#include <chrono>
#include <cmath>
#include <filesystem>
#include <fmt/core.h>
#include <numbers>

namespace weft {

namespace {
double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }
} // namespace

bool Trainer::evaluation_due() const {
  if (state_.step == 0 || state_.evaluated_at == state_.step || !has_split(config_.data.path, "valid"))
    return false;
  const std::int64_t every = config_.evaluation.every_steps;
  return (every > 0 && state_.step % every == 0) || state_.step % length_.steps_per_epoch == 0 ||
         state_.step == length_.steps;
}

bool Trainer::evaluate_valid() {
  const Watchdog::During phase(watchdog_, Watchdog::Phase::evaluating);
  const double begin = now();
  const Sequences valid(config_.data.path, "valid", config_.model.context);
  const Evaluation result = evaluate(model_, valid, config_, ranks_, {}, [&] { return stops_.stop_asked(); });
  if (result.left)
    return false;
  saved_step_ = -1;
  state_.evaluated_at = state_.step;
  const bool better = result.loss < state_.best_valid_loss;
  state_.evaluations_without_better = better ? 0 : state_.evaluations_without_better + 1;
  if (better)
    state_.best_valid_loss = result.loss;
  if (config_.training.patience > 0 && state_.evaluations_without_better >= config_.training.patience)
    state_.stopped_early = true;
  if (ranks_.root()) {
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
    row.seconds = now() - begin;
    metrics_.add_epoch(row);
    if (events_)
      events_->add_scalar("valid/bits", row.step, result.bits());
    console_.line(fmt::format("step {}, epoch {:.2f}: valid {:.4f} bits, accuracy {:.2f} %, over {} tokens in {}{}",
                              state_.step, state_.epoch, result.bits(), 100 * result.accuracy, result.tokens,
                              human_seconds(row.seconds), better ? ", the best so far" : ""));
    if (state_.stopped_early)
      console_.line(fmt::format("early stop: {} evaluations in a row were no better (training.patience)",
                                state_.evaluations_without_better));
  }
  if (better)
    save(true);
  return true;
}

bool Trainer::evaluate_test() {
  if (!config_.evaluation.test_at_end || !has_split(config_.data.path, "test"))
    return true;
  const Watchdog::During phase(watchdog_, Watchdog::Phase::evaluating);
  const Sequences test(config_.data.path, "test", config_.model.context);
  const Evaluation result = evaluate(model_, test, config_, ranks_, {}, [&] { return stops_.stop_asked(); });
  if (result.left)
    return false;
  if (!ranks_.root())
    return true;
  metrics_.set_final(result.loss, result.accuracy);
  console_.line(fmt::format("test {:.4f} bits, accuracy {:.2f} %, over {} tokens (weights of step {})", result.bits(),
                            100 * result.accuracy, result.tokens, state_.step));
  return true;
}

bool Trainer::checkpoint_due() const {
  const auto& c = config_.checkpoint;
  // Rank 0's clock decides for all.
  const bool late = c.every_seconds > 0 && ranks_.maximum(ranks_.root() ? now() - last_save_ : 0.0) >= c.every_seconds;
  return late || (c.every_steps > 0 && state_.step % c.every_steps == 0) || state_.step == length_.steps;
}

void Trainer::save(bool best) {
  const Watchdog::During phase(watchdog_, Watchdog::Phase::saving);
  std::string failure;
  if (ranks_.root()) {
    try {
      std::filesystem::create_directories(folder_.checkpoints());
      const std::string path = best ? folder_.best() : checkpoint_path(folder_.checkpoints(), state_.step);
      write_metrics(); // first: rows that no checkpoint knows of are dropped, rows that are missing stay missing
      save_state(path, state_, model_.parameters(), config_, ranks_.size());
      if (!best) {
        commit_latest(folder_.checkpoints(), state_.step);
        prune(folder_.checkpoints(), config_.checkpoint.keep);
      }
    } catch (const std::exception& error) {
      failure = error.what();
    }
  }
  ranks_.broadcast(failure);
  if (!failure.empty())
    throw Error(exit_failure, "the checkpoint of step " + std::to_string(state_.step) +
                                  " could not be written: " + failure +
                                  "; earlier checkpoints are untouched: make room and start again to continue");
  if (!best) {
    last_save_ = now();
    saved_step_ = state_.step;
  }
}

void Trainer::write_metrics() {
  if (!ranks_.root())
    return;
  metrics_.write(folder_.metrics());
  if (events_)
    events_->flush();
  last_write_ = now();
}

} // namespace weft
