// What a run needs, told before it starts: the table that `weft check` and `weft train` print.
#pragma once
#include "config/config.hpp"
#include "io/console.hpp"
#include "model/model.hpp"
#include <cstddef>

namespace weft {

struct MemoryPlan {
  std::size_t weights, moments, checkpoint, gradients, activations, scratch, patterns;
  std::size_t program; ///< what the process holds already (libraries and their tables) and 10 MiB that these grow by
  std::size_t total() const {
    return weights + moments + checkpoint + gradients + activations + scratch + patterns + program;
  }
};

/// Bytes per rank. `program` is this process's resident memory at the time of the call, less what is planned, and an
/// allowance.
MemoryPlan plan_memory(const Config& config, const Model& model, int ranks);

/// InputError where there are more ranks than micro-batches in a step.
void require_slots(const Config& config, int ranks);

/// Throws InputError where the input asks for what only a build for GPUs has. `on_device`: this is one.
void require_build(const Config& config, bool on_device);

/// Throws InputError, with the plan's numbers and the key to change, where what a run keeps on its device is more than
/// the `available` bytes there. `ranks_sharing`: ranks that use the device.
void require_device_memory(const MemoryPlan& plan, const Config& config, std::size_t available, int ranks_sharing);

std::size_t resident_bytes(); ///< now
std::size_t peak_bytes();     ///< the most there was

/// Operations per second of a matrix product like the model's, in its storage type, on this rank.
double measure_matrix_rate(const Config& config);

/// Seconds that a step of this run may take, from the matrix product's rate: right within a factor of a few.
double expected_step_seconds(const Config& config, const Model& model, int ranks, double rate);

/// Sizes, parameters, memory, work per token, and an estimate of the time of a step.
void print_resources(Console& console, const Config& config, const Model& model, const MemoryPlan& memory, int ranks,
                     double matrix_rate);

} // namespace weft
