// What a run needs, told before it starts: the table that `weft check` and `weft train` print.
#pragma once
#include "config/config.hpp"
#include "io/console.hpp"
#include "kernels/gemm/rate.hpp"
#include "model/model.hpp"
#include <cstddef>
#include <string>

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

std::size_t resident_bytes();  ///< now
std::size_t peak_bytes();      ///< the most there was
std::size_t available_bytes(); ///< what the system could give to programs now; 0: it does not say

/// Operations per second of a matrix product like the model's, in its storage type, on this rank.
MatrixRate measure_matrix_rate(const Config& config);

/// Seconds that a step of this run may take, from the matrix product's rate: right within a factor of a few.
double expected_step_seconds(const Config& config, const Model& model, int ranks, double rate);

/// What is known of the time of a run before it.
struct TimePlan {
  MatrixRate rate;     ///< measure_matrix_rate()
  double step;         ///< seconds
  bool measured;       ///< `step` comes from micro-batches that were run (trial_step.hpp), not from the rate
  std::int64_t tokens; ///< of a step, on all ranks
  std::int64_t steps;  ///< of the whole run; 0: not known
};

/// Sizes, parameters, memory, work per token, the time of a step and of the run, and what checkpoints take on the disk:
/// a table.
std::string resources_text(const Config& config, const Model& model, const MemoryPlan& memory, const TimePlan& time);

/// Where the machine has less memory than the rank needs: a sentence; else "".
std::string memory_note(const MemoryPlan& memory);

/// Where this rank has more threads than processors: a sentence; else "".
std::string threads_note();

/// Where other work makes times uncertain: a sentence; else "".
std::string busy_note(const MatrixRate& rate);

} // namespace weft
