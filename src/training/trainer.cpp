#include "training/trainer.hpp"
#include "config/version.hpp"
#include "io/atomic_file.hpp"
#include "io/checkpoint_file.hpp"
#include "io/error.hpp"
#include "kernels/optimizer/optimizer.hpp"
#include "kernels/sum/sum.hpp"
#include "training/schedule.hpp"
#include <algorithm>
#include <chrono>
#include <cmath>
#include <fmt/format.h>
#include <limits>
#include <numbers>
#include <utility>

namespace weft {

namespace {
/// The tensors whose moments this rank holds.
Owned moments_of(const Config& config, const Ranks& ranks, const ParameterList& parameters) {
  return config.parallel.shard_optimizer ? owners(parameters, ranks.size())[static_cast<std::size_t>(ranks.rank())]
                                         : owners(parameters, 1).front();
}

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }
constexpr std::int64_t bad_steps_allowed = 10;
constexpr double metrics_interval = 30; // seconds between writes for somebody who watches
} // namespace

RunLength run_length(const Config& config, const Task& train) {
  RunLength length{train.per_epoch() / config.training.batch, config.training.steps};
  if (length.steps_per_epoch == 0)
    throw InputError("training.batch is " + std::to_string(config.training.batch) + " and an epoch of " +
                     config.data.path + " has only " + std::to_string(train.per_epoch()) + " sequences of " +
                     std::to_string(config.model.context) + " tokens; take a smaller training.batch or model.context");
  if (length.steps > 0)
    return length; // the input file alone tells whether its schedule fits
  const double steps = config.training.epochs * static_cast<double>(length.steps_per_epoch);
  if (steps > 0x1p52)
    throw InputError(fmt::format("training.epochs = {} makes {:.3g} steps of {} each epoch; take fewer",
                                 config.training.epochs, steps, length.steps_per_epoch));
  length.steps = std::max<std::int64_t>(1, std::llround(steps));
  const auto& schedule = config.schedule;
  const std::int64_t last = schedule.step_milestones.empty() ? 0 : schedule.step_milestones.back();
  const std::int64_t warmup = schedule.kind == "rsqrt" ? 0 : schedule.warmup_steps; // that one may end before its turn
  if (std::max(warmup, last) >= length.steps)
    throw InputError(
        fmt::format("{} is {}, expected below the {} steps that training.epochs = {} makes of {} (an epoch "
                    "has {})",
                    last >= length.steps ? "schedule.step_milestones" : "schedule.warmup_steps",
                    last >= length.steps ? last : schedule.warmup_steps, length.steps, config.training.epochs,
                    config.data.path, length.steps_per_epoch));
  return length;
}

Trainer::Trainer(const Config& config, const Ranks& ranks, Console& console, Model& model, const Splits& splits,
                 double matrix_rate, double expected_step, std::unique_ptr<Carrier> carrier)
    : config_(config), ranks_(ranks), console_(console), model_(model), folder_(config), splits_(splits),
      length_(run_length(config, *splits.train)), matrix_rate_(matrix_rate),
      state_(model.parameters(), static_cast<std::uint64_t>(config.run.seed),
             moments_of(config, ranks, model.parameters())),
      gradients_(ranks, model.parameters().extent(), config.training.batch / config.training.micro_batch,
                 static_cast<std::size_t>(config.parallel.bucket_mib * 1048576), std::move(carrier)),
      checkpoints_(config, ranks, model.parameters(), folder_.checkpoints()), energy_(ranks),
      rows_(*splits.train, config.training.micro_batch, model.variable_length()),
      fault_(parse_fault(config.debug.fault)), stops_(ranks, folder_.path, config.run.max_minutes),
      watchdog_(ranks, folder_.heartbeats(), config.parallel.timeout, expected_step) {
  state_.loss_scale = LossScale(config);
}

Trainer::~Trainer() { gradients_.close(); }

void Trainer::start_from(const std::string& checkpoint) {
  if (!checkpoint.empty())
    load_state(checkpoint, state_, model_.parameters(), config_);
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
  metrics_.set_attribute("git_commit", version().commit_text());
  metrics_.set_energy_source(energy_.source());
  metrics_.set_attribute("parameters", model_.parameters().count());
  if (config_.log.tensorboard)
    events_ = std::make_unique<EventFile>(folder_.tensorboard(), state_.step + 1);
}

double Trainer::flops_per_token() const {
  const ModelCosts c = model_.costs();
  return (c.matrix_flops_per_token + c.attention_flops_per_token) * (1 + c.backward_factor);
}

Trainer::StepResult Trainer::take_step(const Dumps& dumps) {
  const std::int64_t batch = config_.training.batch, micro = config_.training.micro_batch;
  const std::int64_t epoch = state_.step / length_.steps_per_epoch;
  const std::int64_t first = state_.step % length_.steps_per_epoch * batch; // row of the epoch
  const double predictions = static_cast<double>(batch * splits_.train->shape().scored),
               scale = state_.loss_scale.value();
  watchdog_.beat(state_.step + 1, Watchdog::Phase::training);
  bool spoil = strike(fault_, ranks_, state_.step + 1);
  const Share slots = gradients_.slots();
  // Up to here no rank has sent any of its gradient: the step can still be left.
  const std::int64_t last_to_leave = slots.first + batch / micro / ranks_.size() - 1;
  scores_.resize(static_cast<std::size_t>(slots.last - slots.first)); // once
  for (std::int64_t slot = slots.first; slot < slots.last; ++slot) {
    if (slot > slots.first && slot <= last_to_leave && stops_.stop_asked())
      return {0, 0, 0, false, true};
    watchdog_.beat();
    Batch work = rows_.training(static_cast<std::uint64_t>(config_.run.seed), epoch, first + slot * micro);
    if (!dumps.batches.empty())
      dumped_batches_.insert(dumped_batches_.end(), work.tokens, work.tokens + micro * work.length);
    work.loss_factor = static_cast<float>(1 / predictions) * static_cast<float>(scale);
    work.seed = static_cast<std::uint64_t>(config_.run.seed);
    work.step = static_cast<std::uint32_t>(state_.step);
    work.first_sample = static_cast<std::uint32_t>(slot * micro);
    float* gradient = gradients_.current();
    Scores& scores = scores_[static_cast<std::size_t>(slot - slots.first)];
    model_.forward_backward(work, gradient, scores, [&](std::int64_t from) {
      if (std::exchange(spoil, false)) {
        const float not_a_number = std::numeric_limits<float>::quiet_NaN();
        copy_to_device(gradient + model_.parameters().all().back().offset, &not_a_number, sizeof not_a_number);
      }
      gradients_.ready(from);
    });
  }
  const float* gradient = gradients_.finish();
  gradients_.settle();
  const double squares = sum_of_squares(gradient, model_.parameters().extent());
  fence();                  // the one place in a step where the host waits for the device
  std::vector<double> sums; // per slot: loss, hits
  for (const Scores& scores : scores_) {
    double loss = 0, hits = 0;
    for (std::size_t i = 0; i < scores.losses.size(); ++i) {
      loss += static_cast<double>(scores.losses[i]);
      hits += static_cast<double>(scores.hits[i]);
    }
    sums.insert(sums.end(), {loss, hits});
  }
  const std::vector<double> all = ranks_.gather(sums);
  std::vector<double> losses, hits;
  for (std::size_t i = 0; i < all.size(); i += 2) {
    losses.push_back(all[i]);
    hits.push_back(all[i + 1]);
  }
  StepResult result{tree_sum(losses) / predictions, tree_sum(hits) / predictions, std::sqrt(squares) / scale, true};
  result.finite = std::isfinite(result.loss) && std::isfinite(result.norm);
  if (!dumps.gradients.empty() && state_.step == first_step_ && ranks_.root()) {
    std::vector<float> host(static_cast<std::size_t>(model_.parameters().extent()));
    copy_to_host(host.data(), gradient, host.size() * sizeof(float));
    for (float& g : host)
      g /= static_cast<float>(scale);
    std::vector<ArrayView> arrays;
    for (const Parameter& p : model_.parameters().all())
      arrays.push_back({p.name, p.shape, host.data() + p.offset});
    write_checkpoint(dumps.gradients, {{"step", state_.step + 1}}, arrays);
  }
  ++state_.step;
  state_.samples += batch;
  state_.epoch = static_cast<double>(state_.step) / static_cast<double>(length_.steps_per_epoch);
  if (result.finite) {
    update_weights(gradient, result.norm, state_.step);
    state_.skipped_in_row = 0;
    if (state_.loss_scale.good_step())
      console_.line(fmt::format("step {}: {} steps in a row had finite gradients; the loss scale rises to {}",
                                state_.step, config_.optimizer.loss_scale_growth_steps, state_.loss_scale.value()));
  } else {
    ++state_.skipped;
    if (std::isfinite(result.loss) && state_.loss_scale.overflow()) {
      console_.line(
          fmt::format("step {} is skipped: its gradient does not fit into fp16 with a loss scale of {}, which "
                      "falls to {}",
                      state_.step, scale, state_.loss_scale.value()));
    } else {
      ++state_.skipped_in_row;
      explain_nonfinite(gradient);
    }
  }
  return result;
}

Trainer::StepResult Trainer::step_or_explain(const Dumps& dumps) {
  const std::string where = "in step " + std::to_string(state_.step + 1) + ": ";
  try {
    return take_step(dumps);
  } catch (const NumbersError&) { // of all ranks, and it names the step
    throw;
  } catch (const Error& error) {
    throw Error(error.status, where + error.what());
  } catch (const std::exception& error) {
    throw Error(exit_failure, where + error.what());
  }
}

void Trainer::update_weights(const float* gradients, double norm, std::int64_t step) {
  const auto& o = config_.optimizer;
  AdamStep adam{};
  adam.learning_rate = learning_rate(config_, step, length_.steps);
  adam.beta1 = o.beta1;
  adam.beta2 = o.beta2;
  adam.epsilon = o.epsilon;
  adam.decoupled = o.kind == "adamw";
  adam.gradient_factor = (o.clip > 0 && norm > o.clip ? o.clip / norm : 1.0) / state_.loss_scale.value();
  adam.step = ++state_.updates;
  for (std::size_t i = state_.moments.first; i < state_.moments.last; ++i) {
    const Parameter& p = model_.parameters().all()[i];
    adam.weight_decay = p.decayed() || o.decay == "all" ? o.weight_decay : 0.0;
    adam_step(state_.weights.data() + p.offset, state_.m_of(p), state_.v_of(p), gradients + p.offset, p.size, adam);
  }
  if (config_.parallel.shard_optimizer && ranks_.size() > 1) {
    std::vector<std::int64_t> cuts{0};
    for (const Owned& part : owners(model_.parameters(), ranks_.size()))
      cuts.push_back(part.end);
    if (gradients_.share(state_.weights.data(), cuts)) {
      // they travel from device to device
    } else if (device_is_host) {
      fence();
      ranks_.share(state_.weights.data(), cuts);
    } else {
      const auto rank = static_cast<std::size_t>(ranks_.rank());
      if (!shared_weights_)
        shared_weights_ = host_floats(state_.weights.size(), "weights on the host");
      copy_to_host(shared_weights_.get() + cuts[rank], state_.weights.data() + cuts[rank],
                   static_cast<std::size_t>(cuts[rank + 1] - cuts[rank]) * sizeof(float));
      ranks_.share(shared_weights_.get(), cuts);
      copy_to_device(state_.weights.data(), shared_weights_.get(), state_.weights.bytes());
    }
  }
  model_.use_weights(state_.weights.data());
}

void Trainer::explain_nonfinite(const float* gradients) {
  // Forward order first; gradients come to be from the end of the list to its start.
  first_bad_ = model_.first_nonfinite_activation();
  if (!first_bad_.empty())
    first_bad_ = "activation " + first_bad_;
  const auto& all = model_.parameters().all();
  for (auto p = all.rbegin(); first_bad_.empty() && p != all.rend(); ++p)
    if (first_nonfinite(gradients + p->offset, p->size) >= 0)
      first_bad_ = "gradient of " + p->name;
  for (const Parameter& p : all)
    if (first_nonfinite(state_.weights.data() + p.offset, p.size) >= 0) {
      first_bad_ = "parameter " + p.name;
      break;
    }
  if (first_bad_.empty())
    first_bad_ = "on another rank, or in the sum of the squares";
  console_.line("step " + std::to_string(state_.step) + " is skipped: loss or gradient is not finite; first seen in: " +
                first_bad_ + " (rank " + std::to_string(ranks_.rank()) + ")");
  if (state_.skipped_in_row < bad_steps_allowed)
    return;
  finish_saving();
  throw NumbersError(std::to_string(bad_steps_allowed) +
                     " steps in a row had a loss or gradient that is not finite, the last one is step " +
                     std::to_string(state_.step) + "; first seen in: " + first_bad_ +
                     "; lower optimizer.learning_rate, raise schedule.warmup_steps, " +
                     (state_.loss_scale.moves() ? "take run.precision = \"fp32\" or \"bf16\", " : "") +
                     "or check the data. The "
                     "checkpoints written before stay as they are");
}

void Trainer::report(const StepResult& result, double seconds, double joules) {
  if (!ranks_.root())
    return;
  const double tokens = static_cast<double>(config_.training.batch * config_.model.context);
  StepRow row;
  row.step = state_.step;
  row.tokens = state_.samples * config_.model.context;
  row.loss = result.loss;
  row.accuracy = result.accuracy;
  row.lr = learning_rate(config_, state_.step, length_.steps);
  row.gradient_norm = result.norm;
  row.seconds = seconds;
  row.tokens_per_second = tokens / seconds;
  row.energy_j = joules;
  metrics_.add_step(row);
  if (events_) {
    events_->add_scalar("train/bits", row.step, row.loss / std::numbers::ln2);
    events_->add_scalar("train/gradient_norm", row.step, row.gradient_norm);
    events_->add_scalar("train/learning_rate", row.step, row.lr);
    events_->add_scalar("train/tokens_per_second", row.step, row.tokens_per_second);
    if (state_.loss_scale.moves())
      events_->add_scalar("train/loss_scale", row.step, state_.loss_scale.value());
  }
  const bool due = config_.log.every_steps > 0 &&
                   (state_.step % config_.log.every_steps == 0 || state_.step == 1 || state_.step == length_.steps);
  if (!due)
    return;
  const double each = (now() - started_) / static_cast<double>(state_.step - first_step_);
  StepLine line;
  line.step = state_.step;
  line.steps = length_.steps;
  line.loss = row.loss;
  line.bits = row.loss / std::numbers::ln2;
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
  gradients_.open(); // only now: the watchdog ends the job where a rank does not come
  started_ = last_save_ = last_write_ = now();
  if (stops_.stop_asked())
    return stop();
  if (config_.checkpoint.initial && state_.step == 0)
    save(true);
  if (evaluation_due() && !evaluate_valid())
    return stop();
  if (best_due_)
    save(false);
  while (state_.step < length_.steps && !state_.stopped_early) {
    const double begin = now();
    const StepResult result = step_or_explain(dumps);
    if (result.left)
      return stop();
    const double seconds = now() - begin;
    watchdog_.step_took(seconds);
    report(result, seconds, energy_.joules());
    checkpoints_.poll();
    if (stops_.stop_asked() || (evaluation_due() && !evaluate_valid()))
      return stop();
    const bool asked = stops_.checkpoint_asked();
    if (checkpoint_due() || asked)
      save(true);
    else if (best_due_)
      save(false);
    else if (ranks_.root() && !checkpoints_.in_flight() && now() - last_write_ > metrics_interval)
      write_metrics();
  }
  if (saved_step_ != state_.step)
    save(true, true);
  finish_saving();
  if (!dumps.batches.empty() && ranks_.size() == 1) {
    const std::int64_t per_step = config_.training.batch * config_.model.context;
    write_checkpoint(
        dumps.batches, {},
        {{"tokens",
          {static_cast<std::int64_t>(dumped_batches_.size()) / per_step, config_.training.batch, config_.model.context},
          dumped_batches_.data()}});
  }
  if (!dumps.losses.empty() && ranks_.root()) {
    std::string lines;
    for (const StepRow& row : metrics_.steps())
      lines += fmt::format("{} {:.9g}\n", row.step, row.loss);
    replace_file(dumps.losses, lines);
  }
  if (!evaluate_test())
    return stop();
  report_energy();
  write_metrics();
  stops_.fulfilled();
  end_reason_ = state_.stopped_early ? "early stop" : "finished";
  return exit_done;
}

} // namespace weft
