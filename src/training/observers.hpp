// What the trainer adds to a step (training/step.hpp): signs of life and stops, faults, dumps.
#pragma once
#include "config/fault.hpp"
#include "io/metrics.hpp"
#include "model/parameters.hpp"
#include "parallel/ranks.hpp"
#include "parallel/watchdog.hpp"
#include "tasks/task.hpp"
#include "training/step.hpp"
#include "training/stop.hpp"
#include <string>
#include <vector>

namespace weft {

/// Tells the watchdog of progress, and leaves the step where a stop is asked for.
class Pace final : public StepObserver {
 public:
  Pace(Watchdog& watchdog, StopRequests& stops) : watchdog_(watchdog), stops_(stops) {}
  void begin(std::int64_t step) override { watchdog_.beat(step, Watchdog::Phase::training); }
  void micro_batch() override { watchdog_.beat(); }
  bool leave() override { return stops_.stop_asked(); }

 private:
  Watchdog& watchdog_;
  StopRequests& stops_;
};

/// Makes the fault of debug.fault happen (training/faults.hpp).
class Faults final : public StepObserver {
 public:
  Faults(const std::string& fault, const Ranks& ranks, const ParameterList& parameters)
      : fault_(parse_fault(fault)), ranks_(ranks), parameters_(parameters) {}
  void begin(std::int64_t step) override;
  void backward(float* gradient) override; ///< one number of the last tensor, which is final first

 private:
  Fault fault_;
  const Ranks& ranks_;
  const ParameterList& parameters_;
  bool spoil_ = false;
};

/// Writing aside what a peer program needs to follow the run (tests/peers), or another build (scripts/gpu_check.sh).
struct Dumps {
  std::string batches;   ///< HDF5: "tokens" (steps, sequences of a step, N)
  std::string gradients; ///< HDF5: one dataset per parameter, of the first step, before clipping
  std::string losses;    ///< text: number and loss of every step of the run, nine digits, a line each
};

class Dumper final : public StepObserver {
 public:
  /// `state`: of the run, before its first step of this start.
  Dumper(const Dumps& dumps, const Config& config, const Ranks& ranks, const ParameterList& parameters,
         const TaskShape& shape, const TrainingState& state);
  void batch(const Batch& batch) override;
  void gradient(const float* gradient) override;
  /// Writes what was gathered over all steps.
  void finish(const Metrics& metrics) const;

 private:
  const Dumps& dumps_;
  const Config& config_;
  const Ranks& ranks_;
  const ParameterList& parameters_;
  TaskShape shape_;
  const TrainingState& state_;
  std::int64_t first_step_;
  std::vector<float> tokens_; ///< of all steps
};

} // namespace weft
