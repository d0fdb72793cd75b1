#include "training/state.hpp"
#include "config/resolved.hpp"
#include "config/version.hpp"
#include "io/checkpoint_file.hpp"
#include "io/error.hpp"
#include <stdexcept>
#include <vector>

namespace weft {

TrainingState::TrainingState(const ParameterList& parameters, std::uint64_t seed, const Owned& part)
    : weights(parameters.extent(), "weights"), m(part.extent(), "first moments"), v(part.extent(), "second moments"),
      moments(part) {
  std::vector<float> initial(static_cast<std::size_t>(parameters.extent()));
  initialise(initial.data(), parameters, seed);
  copy_to_device(weights.data(), initial.data(), weights.bytes());
  device_zero(m.data(), m.bytes());
  device_zero(v.data(), v.bytes());
}

TrainingState initial_state(const Config& config, const ParameterList& parameters, int rank, int ranks) {
  const std::vector<Owned> parts = owners(parameters, config.parallel.shard_optimizer ? ranks : 1);
  TrainingState state(parameters, static_cast<std::uint64_t>(config.run.seed),
                      parts[config.parallel.shard_optimizer ? static_cast<std::size_t>(rank) : 0]);
  state.loss_scale = LossScale(config);
  return state;
}

Attributes state_attributes(const TrainingState& state, const Config& config, int ranks) {
  Attributes attributes;
  attributes["step"] = state.step;
  attributes["updates"] = state.updates;
  attributes["samples"] = state.samples;
  attributes["epoch"] = state.epoch;
  attributes["skipped"] = state.skipped;
  attributes["skipped_in_row"] = state.skipped_in_row;
  attributes["best_valid_loss"] = state.best_valid_loss;
  if (config.evaluation.best == "accuracy")
    attributes["best_valid_accuracy"] = state.best_valid_accuracy;
  attributes["evaluations_without_better"] = state.evaluations_without_better;
  attributes["evaluated_at"] = state.evaluated_at;
  attributes["stopped_early"] = std::int64_t{state.stopped_early};
  if (state.loss_scale.moves()) {
    attributes["loss_scale"] = state.loss_scale.value();
    attributes["loss_scale_good_steps"] = state.loss_scale.good_steps();
  }
  attributes["config"] = to_toml(config);
  attributes["world_size"] = std::int64_t{ranks};
  attributes["precision"] = config.run.precision;
  attributes["git_commit"] = version().commit_text();
  return attributes;
}

namespace {
/// The same tensors with the same shapes, or an InputError that lists what differs.
void require_same_model(const CheckpointFile& file, const ParameterList& parameters, const Config& config) {
  std::string differences;
  for (const std::string& line : model_differences(from_toml_text(file.text("config"), file.path()), config))
    differences += "\n  " + line;
  std::size_t saved = 0;
  for (const ArrayInfo& array : file.arrays())
    saved += array.name.rfind("parameters/", 0) == 0;
  for (const Parameter& p : parameters.all()) {
    const ArrayInfo* array = file.find("parameters/" + p.name);
    if (!array && differences.empty())
      differences += "\n  " + p.name + ": not in the checkpoint";
    else if (array && array->shape != p.shape && differences.empty())
      differences += "\n  " + p.name + ": another shape";
  }
  if (differences.empty() && saved != parameters.all().size())
    differences += "\n  the checkpoint has " + std::to_string(saved) + " tensors, the model " +
                   std::to_string(parameters.all().size());
  if (!differences.empty())
    throw InputError("checkpoint " + file.path() + " holds another model:" + differences +
                     "\ngive the input file it was made with; to train anew: another run.name, or run.fresh=true");
}

/// `part`: the tensors that the buffer has room for.
void read_group(const CheckpointFile& file, const std::string& prefix, Buffer<float>& buffer,
                const ParameterList& parameters, const Owned& part) {
  std::vector<float> host(static_cast<std::size_t>(part.extent()));
  for (std::size_t i = part.first; i < part.last; ++i) {
    const Parameter& p = parameters.all()[i];
    file.read(prefix + p.name, host.data() + (p.offset - part.begin));
  }
  copy_to_device(buffer.data(), host.data(), buffer.bytes());
}
} // namespace

void load_state(const std::string& path, TrainingState& state, const ParameterList& parameters, const Config& config) {
  const CheckpointFile file(path);
  require_same_model(file, parameters, config);
  read_group(file, "parameters/", state.weights, parameters, owners(parameters, 1).front());
  read_group(file, "optimizer/m/", state.m, parameters, state.moments);
  read_group(file, "optimizer/v/", state.v, parameters, state.moments);
  state.step = file.integer("step");
  state.updates = file.integer("updates");
  state.samples = file.integer("samples");
  state.epoch = file.real("epoch");
  state.skipped = file.integer("skipped");
  state.skipped_in_row = file.integer("skipped_in_row");
  state.best_valid_loss = file.real("best_valid_loss");
  if (file.attributes().count("best_valid_accuracy") > 0) // it went by the accuracy
    state.best_valid_accuracy = file.real("best_valid_accuracy");
  state.evaluations_without_better = file.integer("evaluations_without_better");
  state.evaluated_at = file.integer("evaluated_at");
  state.stopped_early = file.integer("stopped_early") != 0;
  if (file.attributes().count("loss_scale") == 0) // of another precision
    return;
  try {
    state.loss_scale.restore(file.real("loss_scale"), file.integer("loss_scale_good_steps"));
  } catch (const std::invalid_argument& error) {
    throw DataError("checkpoint " + path + " holds " + error.what());
  }
}

void load_weights(const std::string& path, Buffer<float>& weights, const ParameterList& parameters,
                  const Config& config) {
  const CheckpointFile file(path);
  require_same_model(file, parameters, config);
  read_group(file, "parameters/", weights, parameters, owners(parameters, 1).front());
}

} // namespace weft
