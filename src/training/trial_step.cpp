#include "training/trial_step.hpp"
#include "kernels/optimizer/optimizer.hpp"
#include "tasks/collect.hpp"
#include "training/clock.hpp"
#include "training/resources.hpp"
#include "training/state.hpp"
#include <algorithm>

namespace weft {
namespace {

constexpr double longest_micro_batch = 2; // seconds
constexpr std::int64_t most_micro_batches = 4;
constexpr int rounds = 3;

/// Seconds of one update of all weights with a gradient of zero.
double update_seconds(const Model& model, TrainingState& state, const float* gradient) {
  AdamStep adam{};
  adam.beta1 = adam.beta2 = 0.5;
  adam.epsilon = 1;
  adam.gradient_factor = 1;
  adam.step = 1;
  const double begin = now();
  for (const Parameter& p : model.parameters().all())
    adam_step(state.weights.data() + p.offset, state.m_of(p), state.v_of(p), gradient + p.offset, p.size, adam);
  fence();
  return now() - begin;
}

} // namespace

std::optional<double> trial_step_seconds(const Config& config, Model& model, const Task& task, int ranks,
                                         double expected, std::size_t bytes) {
  const std::int64_t slots = (config.training.batch / config.training.micro_batch + ranks - 1) / ranks;
  if (!device_is_host || expected / static_cast<double>(slots) > longest_micro_batch || bytes > available_bytes() / 2)
    return std::nullopt;
  model.allocate();
  TrainingState state = initial_state(config, model.parameters(), 0, 1);
  model.use_weights(state.weights.data());
  Collector rows(task, config.training.micro_batch, model.variable_length());
  Buffer<float> gradient(model.parameters().extent(), "gradient of a trial");
  Scores scores;
  const std::int64_t tried = std::min(slots, most_micro_batches);
  double best = 0;
  for (int round = -1; round < rounds; ++round) { // the first one takes memory and chooses algorithms
    const double begin = now();
    for (std::int64_t slot = 0; slot < (round < 0 ? 1 : tried); ++slot) {
      Batch work = rows.training(static_cast<std::uint64_t>(config.run.seed), 0, slot * config.training.micro_batch);
      work.loss_factor = 1e-3f;
      model.forward_backward(work, gradient.data(), scores, [](std::int64_t) {});
      fence();
    }
    const double seconds = now() - begin;
    if (round == 0 || (round > 0 && seconds < best))
      best = seconds;
  }
  device_zero(gradient.data(), gradient.bytes());
  return best * static_cast<double>(slots) / static_cast<double>(tried) + update_seconds(model, state, gradient.data());
}

} // namespace weft
