#pragma once
#include "config/config.hpp"
#include "model/model.hpp"
#include "parallel/ranks.hpp"
#include "tasks/task.hpp"
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace weft {

struct Evaluation {
  double loss = 0;         ///< mean over what is scored, nats
  double accuracy = 0;     ///< share of them predicted right
  std::int64_t scored = 0; ///< tokens or examples
  /// Where tokens are predicted, by slot of the window, that is by the number of tokens before it in the window: sum of
  /// losses (nats), each rounded to 2^-20 so that the sum is exact in any order, and tokens scored there.
  std::vector<double> loss_at, tokens_at;
  /// Where classes are predicted: how many examples of class t were taken for class p, at [t * classes + p].
  std::int64_t classes = 0;
  std::vector<std::int64_t> confusion;
  /// And by true length, of a pair's longer document, in rising order; those that occurred.
  struct OfLength {
    std::int64_t length = 0, count = 0, hits = 0;
  };
  std::vector<OfLength> by_length;
  bool left = false; ///< on request, before the end: nothing else in here is filled

  double bits() const;
};

/// "1.2345 bits, accuracy 50.00 %, over 1000 tokens", or for classes "accuracy 50.00 %, loss 0.6931 nats, over 1000
/// examples".
std::string scores_text(const Evaluation& result);

/// What is drawn anew in the course of training is drawn as in the last step before the weights were as they are, so
/// that they are scored with what they were trained with, now and when they are read again. step: of the weights.
Batch drawn_as_trained(Batch batch, const Config& config, std::int64_t step);

/// Mean loss over the rows of an evaluation, each scored prediction once, shared out over the ranks; the same bits on
/// any number of ranks, since the rows' sums are added in their order. evaluation.max_windows > 0: only the first rows.
/// training.micro_batch is the batch the model was made for. `progress` (may be empty) is called with the share done.
/// step: optimiser steps that the weights have taken.
/// `leave` (may be empty) is asked on all ranks together before every forward pass; true ends the evaluation.
Evaluation evaluate(Model& model, const Task& task, const Config& config, const Ranks& ranks, std::int64_t step,
                    const std::function<void(double)>& progress = {}, const std::function<bool()>& leave = {});

} // namespace weft
