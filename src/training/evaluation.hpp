#pragma once
#include "config/config.hpp"
#include "model/model.hpp"
#include "parallel/ranks.hpp"
#include "training/sequences.hpp"

namespace weft {

struct Evaluation {
  double loss = 0;     ///< mean over the scored tokens, nats
  double accuracy = 0; ///< share of them predicted right
  std::int64_t tokens = 0;
  /// By slot of the window, that is by the number of tokens before it in the window: sum of losses (nats), each
  /// rounded to 2^-20 so that the sum is exact in any order, and tokens scored there.
  std::vector<double> loss_at, tokens_at;
  bool left = false; ///< on request, before the end: nothing else in here is filled
  double bits() const;
};

/// Mean loss over a split, exactly one score per token (windows: Sequences::window), shared out over the ranks; the
/// same bits on any number of ranks, since the windows' sums are added in their order. max_windows > 0: only the first
/// ones. `micro_batch` is the batch the model was made for. `progress` (may be empty) is called with the share done.
/// `leave` (may be empty) is asked on all ranks together before every forward pass; true ends the evaluation.
Evaluation evaluate(Model& model, const Sequences& sequences, const Config& config, const Ranks& ranks,
                    const std::function<void(double)>& progress = {}, const std::function<bool()>& leave = {});

} // namespace weft
