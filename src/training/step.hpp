// One step of training: the gradients of its micro-batches, their sum over all ranks, loss and accuracy, and the new
// weights. The trainer takes these steps and `weft bench INPUT` times them.
#pragma once
#include "config/config.hpp"
#include "model/model.hpp"
#include "parallel/gradients.hpp"
#include "parallel/ranks.hpp"
#include "tasks/collect.hpp"
#include "training/run_length.hpp"
#include "training/state.hpp"
#include <cstdint>
#include <memory>
#include <vector>

namespace weft {

/// Who watches a step, or disturbs it on purpose. The calls come in this order, micro_batch to backward once for every
/// micro-batch of this rank.
class StepObserver {
 public:
  virtual ~StepObserver() = default;
  virtual void begin(std::int64_t) {}    ///< with the step's number, the first is 1
  virtual bool leave() { return false; } ///< asked on all ranks together while the step can still be left
  virtual void micro_batch() {}          ///< the next one is about to be read
  virtual void batch(const Batch&) {}    ///< it has been read
  virtual void backward(float*) {}       ///< a part of its gradient is final and is about to be sent
  virtual void gradient(const float*) {} ///< of the whole step, times the loss scale, finite or not
};

struct StepResult {
  enum class End {
    taken,
    left,     ///< an observer wanted to: the state is as before, no further step may be taken, nothing else is filled
    overflow, ///< skipped: the gradient did not fit into fp16, the loss scale has been halved
    bad       ///< skipped: loss or gradient is not finite
  };
  End end = End::taken;
  double loss = 0, accuracy = 0;   ///< means over the scored predictions of the batch; nats
  double norm = 0;                 ///< of the gradient, before clipping
  double scale = 1;                ///< of the loss in this step
  bool scale_rose = false;         ///< it is larger from now on
  const float* gradient = nullptr; ///< until the next step
};

class Step {
 public:
  /// Takes the memory for gradients and rows. All of these outlive it; `state` changes with every step. `carrier`: of
  /// gradients; none: MPI.
  Step(const Config& config, const Ranks& ranks, Model& model, const Task& task, const RunLength& length,
       TrainingState& state, std::unique_ptr<Carrier> carrier = nullptr);
  ~Step() { close(); }

  /// Connects the ranks, before the first step; and ends that (GradientSum::close).
  void open() { gradients_.open(); }
  void close() { gradients_.close(); }
  StepResult take(const std::vector<StepObserver*>& observers = {});
  GradientSum::Overlap overlap() const { return gradients_.overlap(); }

 private:
  bool gradient_of_step(const std::vector<StepObserver*>& observers);
  void scores_of_step(StepResult& result) const;
  double squares_of(const float* gradient) const;
  void apply(const float* gradient, double norm);
  void share_weights();

  const Config& config_;
  const Ranks& ranks_;
  Model& model_;
  RunLength length_;
  TrainingState& state_;
  GradientSum gradients_;
  Collector rows_;
  double predictions_;         ///< scored ones of a step
  std::vector<Scores> scores_; ///< per slot of this rank: the host reads them when the step's work is done
  HostFloats shared_weights_;  ///< on the way between ranks, where weights are on a device and moments shared out
};

} // namespace weft
