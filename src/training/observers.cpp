#include "training/observers.hpp"
#include "io/atomic_file.hpp"
#include "io/checkpoint_file.hpp"
#include "training/faults.hpp"
#include <fmt/format.h>
#include <limits>
#include <utility>

namespace weft {

void Faults::begin(std::int64_t step) { spoil_ = strike(fault_, ranks_, step); }

void Faults::backward(float* gradient) {
  if (!std::exchange(spoil_, false))
    return;
  const float not_a_number = std::numeric_limits<float>::quiet_NaN();
  copy_to_device(gradient + parameters_.all().back().offset, &not_a_number, sizeof not_a_number);
}

Dumper::Dumper(const Dumps& dumps, const Config& config, const Ranks& ranks, const ParameterList& parameters,
               const TaskShape& shape, const TrainingState& state)
    : dumps_(dumps), config_(config), ranks_(ranks), parameters_(parameters), shape_(shape), state_(state),
      first_step_(state.step) {}

/// Sequences of a short micro-batch are padded to N again.
void Dumper::batch(const Batch& batch) {
  if (dumps_.batches.empty())
    return;
  for (std::int64_t s = 0; s < config_.training.micro_batch * shape_.sequences; ++s) {
    const std::uint16_t* row = batch.tokens + s * batch.length;
    tokens_.insert(tokens_.end(), row, row + batch.length);
    tokens_.insert(tokens_.end(), static_cast<std::size_t>(shape_.tokens - batch.length), 0.0f);
  }
}

void Dumper::gradient(const float* gradient) {
  if (dumps_.gradients.empty() || state_.step != first_step_ || !ranks_.root())
    return;
  std::vector<float> host(static_cast<std::size_t>(parameters_.extent()));
  copy_to_host(host.data(), gradient, host.size() * sizeof(float));
  for (float& g : host)
    g /= static_cast<float>(state_.loss_scale.value());
  std::vector<ArrayView> arrays;
  for (const Parameter& p : parameters_.all())
    if (p.trained())
      arrays.push_back({p.name, p.shape, host.data() + p.offset});
  write_checkpoint(dumps_.gradients, {{"step", state_.step + 1}}, arrays);
}

void Dumper::finish(const Metrics& metrics) const {
  if (!dumps_.batches.empty() && ranks_.size() == 1) {
    const std::int64_t sequences = config_.training.batch * shape_.sequences;
    const std::int64_t steps = static_cast<std::int64_t>(tokens_.size()) / (sequences * shape_.tokens);
    write_checkpoint(dumps_.batches, {}, {{"tokens", {steps, sequences, shape_.tokens}, tokens_.data()}});
  }
  if (!dumps_.losses.empty() && ranks_.root()) {
    std::string lines;
    for (const StepRow& row : metrics.steps())
      lines += fmt::format("{} {:.9g}\n", row.step, row.loss);
    replace_file(dumps_.losses, lines);
  }
}

} // namespace weft
