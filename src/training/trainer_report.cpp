// What the trainer tells of its steps.
#include "kernels/sum/sum.hpp"
#include "training/clock.hpp"
#include "training/schedule.hpp"
#include "training/trainer.hpp"
#include <cmath>
#include <fmt/core.h>
#include <numbers>

namespace weft {

namespace {
constexpr std::int64_t bad_steps_allowed = 10;
} // namespace

double Trainer::flops_per_token() const {
  const ModelCosts c = model_.costs();
  return (c.matrix_flops_per_token + c.attention_flops_per_token) * (1 + c.backward_factor);
}

void Trainer::report(const StepResult& result, double seconds, double joules) {
  if (!ranks_.root())
    return;
  StepRow row;
  row.step = state_.step;
  row.tokens = state_.samples * shape_.row_tokens();
  row.loss = result.loss;
  row.accuracy = result.accuracy;
  row.lr = learning_rate(config_, state_.step, length_.steps);
  row.gradient_norm = result.norm;
  row.seconds = seconds;
  row.tokens_per_second = static_cast<double>(config_.training.batch * shape_.row_tokens()) / seconds;
  row.energy_j = joules;
  metrics_.add_step(row);
  if (events_)
    report_scalars(row);
  if (config_.log.every_steps > 0 &&
      (state_.step % config_.log.every_steps == 0 || state_.step == 1 || state_.step == length_.steps))
    report_line(row);
}

/// TensorBoard has what metrics.h5 has: accuracy and loss of everything, bits of what predicts tokens.
void Trainer::report_scalars(const StepRow& row) {
  const auto add = [&](const char* name, double value) { events_->add_scalar(name, row.step, value); };
  if (shape_.predicts_tokens())
    add("train/bits", row.loss / std::numbers::ln2);
  add("train/loss", row.loss);
  add("train/accuracy", row.accuracy);
  add("train/gradient_norm", row.gradient_norm);
  add("train/learning_rate", row.lr);
  add("train/seconds", row.seconds);
  add("train/tokens_per_second", row.tokens_per_second);
  if (!std::isnan(row.energy_j))
    add("train/energy_j", row.energy_j);
  if (state_.loss_scale.moves())
    add("train/loss_scale", state_.loss_scale.value());
}

/// Of the validation or the test split.
void Trainer::report_scalars(const std::string& split, const Evaluation& result) {
  if (!events_)
    return;
  if (shape_.predicts_tokens())
    events_->add_scalar(split + "/bits", state_.step, result.bits());
  events_->add_scalar(split + "/loss", state_.step, result.loss);
  events_->add_scalar(split + "/accuracy", state_.step, result.accuracy);
}

void Trainer::report_line(const StepRow& row) {
  const double each = (now() - started_) / static_cast<double>(state_.step - first_step_);
  StepLine line;
  line.step = state_.step;
  line.steps = length_.steps;
  line.loss = row.loss;
  if (shape_.predicts_tokens())
    line.bits = row.loss / std::numbers::ln2;
  else
    line.accuracy = row.accuracy;
  line.gradient_norm = row.gradient_norm;
  line.learning_rate = row.lr;
  line.tokens_per_second = row.tokens_per_second;
  line.gemm_share = row.tokens_per_second * flops_per_token() / (matrix_rate_ * ranks_.size());
  line.seconds_left = each * static_cast<double>(length_.steps - state_.step);
  line.skipped = state_.skipped;
  if (state_.loss_scale.moves())
    line.loss_scale = state_.loss_scale.value();
  console_.step(line);
}

/// What a person should know of a step that was skipped, or that changed the loss scale.
void Trainer::report_skipped(const StepResult& result) {
  if (result.scale_rose)
    console_.line(fmt::format("step {}: {} steps in a row had finite gradients; the loss scale rises to {}",
                              state_.step, config_.optimizer.loss_scale_growth_steps, state_.loss_scale.value()));
  if (result.end == StepResult::End::overflow)
    console_.line(fmt::format("step {} is skipped: its gradient does not fit into fp16 with a loss scale of {}, which "
                              "falls to {}",
                              state_.step, result.scale, state_.loss_scale.value()));
  if (result.end == StepResult::End::bad)
    explain_nonfinite(result.gradient);
}

/// The first tensor that is not finite.
std::string Trainer::where_nonfinite(const float* gradient) {
  const auto& all = model_.parameters().all();
  for (const Parameter& p : all)
    if (first_nonfinite(state_.weights.data() + p.offset, p.size) >= 0)
      return "parameter " + p.name;
  // Forward order; gradients come to be from the end of the list to its start.
  if (const std::string activation = model_.first_nonfinite_activation(); !activation.empty())
    return "activation " + activation;
  for (auto p = all.rbegin(); p != all.rend(); ++p)
    if (first_nonfinite(gradient + p->offset, p->size) >= 0)
      return "gradient of " + p->name;
  return "on another rank, or in the sum of the squares";
}

void Trainer::explain_nonfinite(const float* gradient) {
  const std::string first_bad = where_nonfinite(gradient);
  console_.line("step " + std::to_string(state_.step) + " is skipped: loss or gradient is not finite; first seen in: " +
                first_bad + " (rank " + std::to_string(ranks_.rank()) + ")");
  if (state_.skipped_in_row < bad_steps_allowed)
    return;
  finish_saving();
  throw NumbersError(std::to_string(bad_steps_allowed) +
                     " steps in a row had a loss or gradient that is not finite, the last one is step " +
                     std::to_string(state_.step) + "; first seen in: " + first_bad +
                     "; lower optimizer.learning_rate, raise schedule.warmup_steps, " +
                     (state_.loss_scale.moves() ? "take run.precision = \"fp32\" or \"bf16\", " : "") +
                     "or check the data. The "
                     "checkpoints written before stay as they are");
}

void Trainer::report_energy() {
  double joules = energy_.joules(); // since the last step: the last evaluations
  if (!ranks_.root())
    return;
  for (const StepRow& row : metrics_.steps())
    joules += row.energy_j;
  metrics_.set_attribute("energy_kwh", joules / 3.6e6);
  if (std::isfinite(joules) && config_.energy.grid_g_per_kwh > 0)
    metrics_.set_attribute("co2_g", joules / 3.6e6 * config_.energy.grid_g_per_kwh);
  console_.line("energy of the run: " + energy_text(joules, config_.energy.grid_g_per_kwh) +
                (std::isfinite(joules) ? ", by " + energy_.source() : ""));
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
