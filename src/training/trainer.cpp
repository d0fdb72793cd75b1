#include "training/trainer.hpp"
#include "config/version.hpp"
#include "training/clock.hpp"

namespace weft {

namespace {
constexpr double metrics_interval = 30; // seconds between writes for somebody who watches
} // namespace

Trainer::Trainer(const Config& config, const Ranks& ranks, Console& console, Model& model, const Splits& splits,
                 double matrix_rate, double expected_step, std::unique_ptr<Carrier> carrier)
    : config_(config), ranks_(ranks), console_(console), model_(model), folder_(config), splits_(splits),
      shape_(splits.train->shape()), length_(run_length(config, *splits.train)), matrix_rate_(matrix_rate),
      state_(initial_state(config, model.parameters(), ranks.rank(), ranks.size())),
      step_(config, ranks, model, *splits.train, length_, state_, std::move(carrier)),
      checkpoints_(config, ranks, model.parameters(), folder_.checkpoints()), energy_(ranks),
      stops_(ranks, folder_.path, config.run.max_minutes),
      watchdog_(ranks, folder_.heartbeats(), config.parallel.timeout, expected_step) {}

Trainer::~Trainer() { step_.close(); }

void Trainer::start_from(const std::string& checkpoint, const WarmStart& warm) {
  if (!checkpoint.empty())
    load_state(checkpoint, state_, model_.parameters(), config_);
  else if (!warm.checkpoint.empty())
    load_warm_start(warm, state_.weights, model_.parameters());
  model_.use_weights(state_.weights.data());
  first_step_ = state_.step;
  if (!checkpoint.empty())
    saved_step_ = state_.step;
  if (!ranks_.root())
    return;
  if (!checkpoint.empty() && state_.step > 0) {
    try {
      metrics_ = Metrics::load(folder_.metrics());
    } catch (const DataError& error) {
      console_.line(std::string("note: earlier metrics are lost: ") + error.what());
    }
  }
  metrics_.truncate_after(state_.step, state_.evaluated_at);
  metrics_.set_attribute("run", config_.run.name);
  metrics_.set_attribute("seed", config_.run.seed);
  metrics_.set_attribute("planned_steps", length_.steps);
  metrics_.set_attribute("score", std::string(shape_.predicts_tokens() ? "bits" : "accuracy"));
  metrics_.set_attribute("git_commit", version().commit_text());
  metrics_.set_energy_source(energy_.source());
  metrics_.set_attribute("parameters", model_.parameters().count());
  if (config_.log.tensorboard)
    events_ = std::make_unique<EventFile>(folder_.tensorboard(), state_.step + 1);
}

/// The step's number in the text of an error.
StepResult Trainer::step_or_explain(const std::vector<StepObserver*>& observers) {
  const std::string where = "in step " + std::to_string(state_.step + 1) + ": ";
  try {
    const StepResult result = step_.take(observers);
    report_skipped(result);
    return result;
  } catch (const NumbersError&) { // of all ranks, and it names the step
    throw;
  } catch (const Error& error) {
    throw Error(error.status, where + error.what());
  } catch (const std::exception& error) {
    throw Error(exit_failure, where + error.what());
  }
}

bool Trainer::next_step(const std::vector<StepObserver*>& observers) {
  const double begin = now();
  const StepResult result = step_or_explain(observers);
  if (result.end == StepResult::End::left)
    return false;
  const double seconds = now() - begin;
  watchdog_.step_took(seconds);
  report(result, seconds, energy_.joules());
  checkpoints_.poll();
  return true;
}

void Trainer::save_what_is_due() {
  const bool asked = stops_.checkpoint_asked();
  if (checkpoint_due() || asked)
    save(true);
  else if (best_due_)
    save(false);
  else if (ranks_.root() && !checkpoints_.in_flight() && now() - last_write_ > metrics_interval)
    write_metrics();
}

ExitStatus Trainer::stop() {
  if (saved_step_ != state_.step)
    save(true, true);
  finish_saving();
  write_metrics();
  stops_.fulfilled();
  end_reason_ = stops_.reason();
  console_.line(stops_.reason() + ": stopped after step " + std::to_string(state_.step) +
                "; the checkpoint is written, start again to continue (status 75)");
  return exit_requeue;
}

ExitStatus Trainer::run(const Dumps& dumps) {
  step_.open(); // only now: the watchdog ends the job where a rank does not come
  started_ = last_save_ = last_write_ = now();
  if (stops_.stop_asked())
    return stop();
  if (config_.checkpoint.initial && state_.step == 0)
    save(true);
  if (evaluation_due() && !evaluate_valid())
    return stop();
  if (best_due_)
    save(false);
  Pace pace(watchdog_, stops_);
  Faults faults(config_.debug.fault, ranks_, model_.parameters());
  Dumper dumper(dumps, config_, ranks_, model_.parameters(), shape_, state_);
  while (state_.step < length_.steps && !state_.stopped_early) {
    if (!next_step({&pace, &faults, &dumper}) || stops_.stop_asked() || (evaluation_due() && !evaluate_valid()))
      return stop();
    save_what_is_due();
  }
  if (saved_step_ != state_.step)
    save(true, true);
  finish_saving();
  dumper.finish(metrics_);
  const bool nothing_new = state_.step == first_step_ && ranks_.maximum(metrics_.has_final() ? 1 : 0) > 0;
  if (!nothing_new && !evaluate_test())
    return stop();
  report_energy();
  write_metrics();
  stops_.fulfilled();
  end_reason_ = state_.stopped_early ? "early stop" : "finished";
  return exit_done;
}

} // namespace weft
