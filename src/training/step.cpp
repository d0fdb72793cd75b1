#include "training/step.hpp"
#include "kernels/common/regions.hpp"
#include "kernels/optimizer/optimizer.hpp"
#include "kernels/sum/sum.hpp"
#include "training/schedule.hpp"
#include <cmath>

namespace weft {

Step::Step(const Config& config, const Ranks& ranks, Model& model, const Task& task, const RunLength& length,
           TrainingState& state, std::unique_ptr<Carrier> carrier)
    : config_(config), ranks_(ranks), model_(model), length_(length), state_(state),
      gradients_(ranks, model.parameters().extent(), config.training.batch / config.training.micro_batch,
                 static_cast<std::size_t>(config.parallel.bucket_mib * 1048576), std::move(carrier)),
      rows_(task, config.training.micro_batch, model.variable_length()),
      predictions_(static_cast<double>(config.training.batch * task.shape().scored)) {
  const Share slots = gradients_.slots();
  scores_.resize(static_cast<std::size_t>(slots.last - slots.first));
}

StepResult Step::take(const std::vector<StepObserver*>& observers) {
  StepResult result;
  result.scale = state_.loss_scale.value();
  for (StepObserver* observer : observers)
    observer->begin(state_.step + 1);
  if (!gradient_of_step(observers)) {
    result.end = StepResult::End::left;
    return result;
  }
  result.gradient = gradients_.finish();
  gradients_.settle();
  const TracedSpan span("optimiser");
  const double squares = squares_of(result.gradient);
  fence(); // the one place in a step where the host waits for the device
  scores_of_step(result);
  result.norm = std::sqrt(squares) / result.scale;
  for (StepObserver* observer : observers)
    observer->gradient(result.gradient);
  ++state_.step;
  state_.samples += config_.training.batch;
  state_.epoch = static_cast<double>(state_.step) / static_cast<double>(length_.steps_per_epoch);
  if (std::isfinite(result.loss) && std::isfinite(result.norm)) {
    apply(result.gradient, result.norm);
    state_.skipped_in_row = 0;
    result.scale_rose = state_.loss_scale.good_step();
    return result;
  }
  ++state_.skipped;
  result.end = StepResult::End::bad;
  if (std::isfinite(result.loss) && state_.loss_scale.overflow())
    result.end = StepResult::End::overflow;
  else
    ++state_.skipped_in_row;
  return result;
}

/// Forward and backward of this rank's micro-batches; their sum is on its way. False: left.
bool Step::gradient_of_step(const std::vector<StepObserver*>& observers) {
  const std::int64_t batch = config_.training.batch, micro = config_.training.micro_batch;
  const std::int64_t epoch = state_.step / length_.steps_per_epoch;
  const std::int64_t first = state_.step % length_.steps_per_epoch * batch; // row of the epoch
  const auto seed = static_cast<std::uint64_t>(config_.run.seed);
  const Share slots = gradients_.slots();
  // Up to here no rank has sent any of its gradient: the step can still be left.
  const std::int64_t last_to_leave = slots.first + batch / micro / ranks_.size() - 1;
  for (std::int64_t slot = slots.first; slot < slots.last; ++slot) {
    for (StepObserver* observer : observers)
      if (slot > slots.first && slot <= last_to_leave && observer->leave())
        return false;
    for (StepObserver* observer : observers)
      observer->micro_batch();
    Batch work = rows_.training(seed, epoch, first + slot * micro);
    work.loss_factor = static_cast<float>(1 / predictions_) * static_cast<float>(state_.loss_scale.value());
    work.seed = seed;
    work.step = static_cast<std::uint32_t>(state_.step);
    work.first_sample = static_cast<std::uint32_t>(slot * micro);
    for (StepObserver* observer : observers)
      observer->batch(work);
    float* gradient = gradients_.current();
    model_.forward_backward(work, gradient, scores_[static_cast<std::size_t>(slot - slots.first)],
                            [&](std::int64_t from) {
                              for (StepObserver* observer : observers)
                                observer->backward(gradient);
                              gradients_.ready(from);
                            });
  }
  return true;
}

/// Loss and accuracy of the whole batch, in the fixed order of its micro-batches.
void Step::scores_of_step(StepResult& result) const {
  std::vector<double> mine; // per slot: loss, hits
  for (const Scores& scores : scores_) {
    double loss = 0, hits = 0;
    for (std::size_t i = 0; i < scores.losses.size(); ++i) {
      loss += static_cast<double>(scores.losses[i]);
      hits += static_cast<double>(scores.hits[i]);
    }
    mine.insert(mine.end(), {loss, hits});
  }
  const std::vector<double> all = ranks_.gather(mine);
  std::vector<double> losses, hits;
  for (std::size_t i = 0; i < all.size(); i += 2) {
    losses.push_back(all[i]);
    hits.push_back(all[i + 1]);
  }
  result.loss = tree_sum(losses) / predictions_;
  result.accuracy = tree_sum(hits) / predictions_;
}

/// Of the gradient alone: running statistics lie between its tensors. One that is not finite shows in the sum.
double Step::squares_of(const float* gradient) const {
  double squares = 0;
  std::int64_t begin = 0;
  const auto up_to = [&](std::int64_t end) {
    if (end > begin)
      squares += sum_of_squares(gradient + begin, end - begin);
  };
  const std::vector<Parameter>& all = model_.parameters().all();
  for (std::size_t i = 0; i < all.size(); ++i)
    if (!all[i].trained()) {
      up_to(all[i].offset);
      begin = i + 1 < all.size() ? all[i + 1].offset : model_.parameters().extent();
    }
  up_to(model_.parameters().extent());
  if (begin > 0)
    squares += 0 * sum_of_squares(gradient, model_.parameters().extent());
  return squares;
}

/// Adam on the tensors whose moments this rank holds, then all weights on all ranks.
void Step::apply(const float* gradient, double norm) {
  const auto& o = config_.optimizer;
  AdamStep adam{};
  const double rate = learning_rate(config_, state_.step, length_.steps);
  adam.beta1 = first_moment_decay(config_, state_.step, length_.steps);
  adam.beta2 = o.beta2;
  adam.epsilon = o.epsilon;
  adam.decoupled = o.kind == "adamw";
  adam.gradient_factor = (o.clip > 0 && norm > o.clip ? o.clip / norm : 1.0) / state_.loss_scale.value();
  adam.step = ++state_.updates;
  const double each = // of the micro-batches
      static_cast<double>(config_.training.micro_batch) / static_cast<double>(config_.training.batch);
  for (std::size_t i = state_.moments.first; i < state_.moments.last; ++i) {
    const Parameter& p = model_.parameters().all()[i];
    if (!p.trained()) { // the sum over the micro-batches becomes their mean
      running_step(state_.weights.data() + p.offset, gradient + p.offset, p.size, p.momentum, each);
      continue;
    }
    adam.learning_rate = rate * (p.recurrent ? o.state_rate : 1.0);
    adam.weight_decay = p.decayed() || o.decay == "all" ? o.weight_decay : 0.0;
    adam_step(state_.weights.data() + p.offset, state_.m_of(p), state_.v_of(p), gradient + p.offset, p.size, adam);
  }
  if (config_.parallel.shard_optimizer && ranks_.size() > 1)
    share_weights();
  model_.use_weights(state_.weights.data());
}

void Step::share_weights() {
  std::vector<std::int64_t> cuts{0};
  for (const Owned& part : owners(model_.parameters(), ranks_.size()))
    cuts.push_back(part.end);
  if (gradients_.share(state_.weights.data(), cuts))
    return; // they travel from device to device
  if (device_is_host) {
    fence();
    ranks_.share(state_.weights.data(), cuts);
    return;
  }
  const auto rank = static_cast<std::size_t>(ranks_.rank());
  if (!shared_weights_)
    shared_weights_ = host_floats(state_.weights.size(), "weights on the host");
  copy_to_host(shared_weights_.get() + cuts[rank], state_.weights.data() + cuts[rank],
               static_cast<std::size_t>(cuts[rank + 1] - cuts[rank]) * sizeof(float));
  ranks_.share(shared_weights_.get(), cuts);
  copy_to_device(state_.weights.data(), shared_weights_.get(), state_.weights.bytes());
}

} // namespace weft
