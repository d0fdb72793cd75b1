// The training loop.
#pragma once
#include "config/config.hpp"
#include "io/console.hpp"
#include "io/error.hpp"
#include "io/metrics.hpp"
#include "io/tensorboard.hpp"
#include "model/model.hpp"
#include "parallel/gradients.hpp"
#include "parallel/ranks.hpp"
#include "parallel/watchdog.hpp"
#include "tasks/collect.hpp"
#include "tasks/task.hpp"
#include "training/checkpoint_writer.hpp"
#include "training/evaluation.hpp"
#include "training/faults.hpp"
#include "training/hosts_energy.hpp"
#include "training/run_folder.hpp"
#include "training/state.hpp"
#include "training/stop.hpp"
#include <memory>
#include <string>
#include <vector>

namespace weft {

/// Steps of a whole run: training.steps, or training.epochs times the steps of an epoch (rows of an epoch that do not
/// fill a batch are left out). Throws InputError where an epoch has fewer rows than a batch.
struct RunLength {
  std::int64_t steps_per_epoch, steps;
};
RunLength run_length(const Config& config, const Task& train);

/// Writing aside what a peer program needs to follow the run (tests/peers), or another build (scripts/gpu_check.sh).
struct Dumps {
  std::string batches;   ///< HDF5: "tokens" (steps, batch, N)
  std::string gradients; ///< HDF5: one dataset per parameter, of the first step, before clipping
  std::string losses;    ///< text: number and loss of every step of the run, nine digits, a line each
};

class Trainer {
 public:
  /// Plans memory and starts the watchdog. `splits`: to outlive it. `matrix_rate`: operations per second that this
  /// machine's matrix product reaches. `expected_step`: seconds that a step may take. `carrier`: of gradients; none:
  /// MPI.
  Trainer(const Config& config, const Ranks& ranks, Console& console, Model& model, const Splits& splits,
          double matrix_rate, double expected_step, std::unique_ptr<Carrier> carrier = nullptr);
  ~Trainer();

  /// Continues from a checkpoint (empty: new weights). Metrics rows behind it are dropped.
  void start_from(const std::string& checkpoint);
  /// Trains to the end, or until a stop is asked for (training/stop.hpp): returns exit_done or exit_requeue. Throws
  /// NumbersError after ten steps in a row without finite numbers; those that lowered the loss scale do not count.
  ExitStatus run(const Dumps& dumps);

  /// What the checkpoints are to say of the program and the machine beside the state.
  void describe(const Attributes& about) { about_ = about; }

  const RunLength& length() const { return length_; }
  const TrainingState& state() const { return state_; }
  GradientSum::Overlap overlap() const { return gradients_.overlap(); }
  /// Why run() returned: "finished", "early stop", or the name of a signal.
  const std::string& end_reason() const { return end_reason_; }
  /// What the checkpoints of this start have cost, in words.
  std::string checkpoint_cost() const;

 private:
  struct StepResult {
    double loss, accuracy, norm;
    bool finite;
    bool left = false; ///< a stop was asked for within the step: nothing has changed, nothing else here is filled
  };
  StepResult take_step(const Dumps& dumps);
  StepResult step_or_explain(const Dumps& dumps); ///< the same, with the step in the text of an error
  void update_weights(const float* gradients, double norm, std::int64_t step);
  void explain_nonfinite(const float* gradients);
  void report(const StepResult& result, double seconds, double joules);
  void report_energy();
  bool evaluation_due() const;
  bool evaluate_valid(); ///< false: left, a stop was asked for
  bool evaluate_test();  ///< the same
  ExitStatus stop();
  void save(bool newest, bool waited_for = false);
  void finish_saving();
  void write_metrics();
  bool checkpoint_due() const;
  double flops_per_token() const;

  const Config& config_;
  const Ranks& ranks_;
  Console& console_;
  Model& model_;
  RunFolder folder_;
  const Splits& splits_;
  RunLength length_;
  double matrix_rate_;
  TrainingState state_;
  GradientSum gradients_;
  CheckpointWriter checkpoints_;
  Attributes about_;
  std::string end_reason_;
  Metrics metrics_; ///< rank 0 only
  HostsEnergy energy_;
  std::unique_ptr<EventFile> events_; ///< rank 0 only
  Collector rows_;                    ///< of one micro-batch
  std::vector<float> dumped_batches_;
  HostFloats
      shared_weights_; ///< on the way between ranks, where the weights are on a device and the moments shared out
  std::vector<Scores> scores_; ///< per slot of this rank: the host reads them when the step's work is done
  std::string first_bad_;      ///< the first tensor that was not finite in the last bad step
  double last_save_ = 0, last_write_ = 0, started_ = 0;
  std::int64_t first_step_ = 0;  ///< where this start began
  std::int64_t saved_step_ = -1; ///< of the newest checkpoint, if it is all that there is to save
  bool best_due_ = false;        ///< the last evaluation was the best, and its checkpoint is not begun yet
  Fault fault_;
  StopRequests stops_;
  Watchdog watchdog_; ///< last: it ends before what it watches
};

} // namespace weft
