#pragma once
#include "config/config.hpp"
#include "model/model.hpp"
#include "parallel/ranks.hpp"
#include "tasks/task.hpp"

namespace weft {

struct Evaluation {
  double loss = 0;         ///< mean over what is scored, nats
  double accuracy = 0;     ///< share of them predicted right
  std::int64_t scored = 0; ///< tokens or examples
  /// Where tokens are predicted, by slot of the window, that is by the number of tokens before it in the window: sum of
  /// losses (nats), each rounded to 2^-20 so that the sum is exact in any order, and tokens scored there.
  std::vector<double> loss_at, tokens_at;
  bool left = false; ///< on request, before the end: nothing else in here is filled
  double bits() const;
};

/// Mean loss over the rows of an evaluation, each scored prediction once, shared out over the ranks; the same bits on
/// any number of ranks, since the rows' sums are added in their order. evaluation.max_windows > 0: only the first rows.
/// training.micro_batch is the batch the model was made for. `progress` (may be empty) is called with the share done.
/// `leave` (may be empty) is asked on all ranks together before every forward pass; true ends the evaluation.
Evaluation evaluate(Model& model, const Task& task, const Config& config, const Ranks& ranks,
                    const std::function<void(double)>& progress = {}, const std::function<bool()>& leave = {});

} // namespace weft
