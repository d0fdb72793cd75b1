// All that a run is at one moment, and its way to a checkpoint and back.
#pragma once
#include "config/config.hpp"
#include "io/hdf5.hpp"
#include "kernels/common/memory.hpp"
#include "training/loss_scale.hpp"
#include "training/owners.hpp"
#include <limits>
#include <string>

namespace weft {

struct TrainingState {
  Buffer<float> weights;           ///< flat, laid out by the parameter list, where the kernels run
  Buffer<float> m, v;              ///< the same, but only of the tensors in `moments`
  Owned moments;                   ///< all tensors, or with parallel.shard_optimizer those of this rank
  std::int64_t step = 0;           ///< steps taken; with the seed it gives the place in the data and all randomness
  std::int64_t updates = 0;        ///< steps that changed the weights: Adam's bias correction counts these
  std::int64_t samples = 0;        ///< sequences trained on
  double epoch = 0;                ///< passes over the training split
  std::int64_t skipped = 0;        ///< steps left out because numbers were not finite
  std::int64_t skipped_in_row = 0; ///< without those that lowered the loss scale
  LossScale loss_scale;            ///< fp16: the owner sets it from the input
  double best_valid_loss = std::numeric_limits<double>::infinity(); ///< of the evaluation that was best so far,
  double best_valid_accuracy = -1;                                  ///< by evaluation.best
  std::int64_t evaluations_without_better = 0;
  std::int64_t evaluated_at = -1; ///< the step of the last evaluation: a stop may come before one that is due
  bool stopped_early = false;

  /// Memory for the three buffers: initial weights and zero moments.
  TrainingState(const ParameterList& parameters, std::uint64_t seed, const Owned& moments);

  const float* m_of(const Parameter& p) const { return m.data() + (p.offset - moments.begin); }
  const float* v_of(const Parameter& p) const { return v.data() + (p.offset - moments.begin); }
  float* m_of(const Parameter& p) { return m.data() + (p.offset - moments.begin); }
  float* v_of(const Parameter& p) { return v.data() + (p.offset - moments.begin); }
};

/// The state that a run begins with: of `ranks` ranks, this one has the moments of its part of the tensors with
/// parallel.shard_optimizer, else all.
TrainingState initial_state(const Config& config, const ParameterList& parameters, int rank, int ranks);

/// What a checkpoint says of the state beside its arrays (docs/checkpoint.md).
Attributes state_attributes(const TrainingState& state, const Config& config, int ranks);

/// Fills the state from a checkpoint, whatever ranks wrote it. Throws DataError where it is damaged, InputError with
/// the list of differences where it holds another model.
void load_state(const std::string& path, TrainingState& state, const ParameterList& parameters, const Config& config);

/// Only the weights, for evaluation.
void load_weights(const std::string& path, Buffer<float>& weights, const ParameterList& parameters,
                  const Config& config);

} // namespace weft
