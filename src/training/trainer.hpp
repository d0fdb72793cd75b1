// The training loop: steps (training/step.hpp), and between them reports, evaluations, checkpoints and stops.
#pragma once
#include "config/config.hpp"
#include "io/console.hpp"
#include "io/error.hpp"
#include "io/metrics.hpp"
#include "io/tensorboard.hpp"
#include "model/model.hpp"
#include "parallel/ranks.hpp"
#include "parallel/watchdog.hpp"
#include "tasks/task.hpp"
#include "training/checkpoint_writer.hpp"
#include "training/evaluation.hpp"
#include "training/hosts_energy.hpp"
#include "training/observers.hpp"
#include "training/run_folder.hpp"
#include "training/run_length.hpp"
#include "training/state.hpp"
#include "training/step.hpp"
#include "training/stop.hpp"
#include "training/warm_start.hpp"
#include <memory>
#include <string>

namespace weft {

class Trainer {
 public:
  /// Takes the memory and starts the watchdog. `splits`: to outlive it. `matrix_rate`: operations per second that this
  /// machine's matrix product reaches. `expected_step`: seconds that a step may take. `carrier`: of gradients; none:
  /// MPI.
  Trainer(const Config& config, const Ranks& ranks, Console& console, Model& model, const Splits& splits,
          double matrix_rate, double expected_step, std::unique_ptr<Carrier> carrier = nullptr);

  ~Trainer();

  /// Continues from a checkpoint (empty: new weights, of which `warm` may give some). Metrics rows behind it are
  /// dropped.
  void start_from(const std::string& checkpoint, const WarmStart& warm = {});
  /// Trains to the end, or until a stop is asked for (training/stop.hpp): returns exit_done or exit_requeue. Throws
  /// NumbersError after ten steps in a row without finite numbers; those that lowered the loss scale do not count.
  ExitStatus run(const Dumps& dumps);

  /// What the checkpoints are to say of the program and the machine beside the state.
  void describe(const Attributes& about) { about_ = about; }

  const RunLength& length() const { return length_; }
  const TrainingState& state() const { return state_; }
  GradientSum::Overlap overlap() const { return step_.overlap(); }
  /// Why run() returned: "finished", "early stop", or the name of a signal.
  const std::string& end_reason() const { return end_reason_; }
  /// What the checkpoints of this start have cost, in words.
  std::string checkpoint_cost() const;

 private:
  // trainer.cpp
  bool next_step(const std::vector<StepObserver*>& observers); ///< false: left, a stop was asked for
  StepResult step_or_explain(const std::vector<StepObserver*>& observers);
  void save_what_is_due();
  ExitStatus stop();
  // trainer_report.cpp
  void report(const StepResult& result, double seconds, double joules);
  void report_scalars(const StepRow& row);
  void report_scalars(const std::string& split, const Evaluation& result);
  void report_line(const StepRow& row);
  void report_skipped(const StepResult& result);
  void report_energy();
  std::string where_nonfinite(const float* gradient);
  void explain_nonfinite(const float* gradient);
  double flops_per_token() const;
  void write_metrics();
  // trainer_milestones.cpp
  bool evaluation_due() const;
  bool evaluate_valid(); ///< false: left, a stop was asked for
  bool evaluate_test();  ///< the same
  void report_valid(const Evaluation& result, double seconds, bool better);
  bool checkpoint_due() const;
  void save(bool newest, bool waited_for = false);
  void finish_saving();

  const Config& config_;
  const Ranks& ranks_;
  Console& console_;
  Model& model_;
  RunFolder folder_;
  const Splits& splits_;
  TaskShape shape_;
  RunLength length_;
  double matrix_rate_;
  TrainingState state_;
  Step step_;
  CheckpointWriter checkpoints_;
  Attributes about_;
  std::string end_reason_;
  Metrics metrics_; ///< rank 0 only
  HostsEnergy energy_;
  std::unique_ptr<EventFile> events_; ///< rank 0 only
  double last_save_ = 0, last_write_ = 0, started_ = 0;
  std::int64_t first_step_ = 0;  ///< where this start began
  std::int64_t saved_step_ = -1; ///< of the newest checkpoint, if it is all that there is to save
  bool best_due_ = false;        ///< the last evaluation was the best, and its checkpoint is not begun yet
  StopRequests stops_;
  Watchdog watchdog_; ///< last: it ends before what it watches
};

} // namespace weft
