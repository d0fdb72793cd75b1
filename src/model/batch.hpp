// What a model is given and what it gives back: one micro-batch of sequences, and the score of every prediction.
#pragma once
#include "kernels/common/transfer.hpp"
#include <cstdint>

namespace weft {

/// One micro-batch in host memory: S sequences of `length` tokens and P predictions (S * length of them for the next
/// token, one per example for a class).
struct Batch {
  const std::uint16_t* tokens = nullptr;  ///< (S, length)
  const std::uint32_t* seen = nullptr;    ///< (S, ceil(length / 32)) bit i: position i is real; null: all are
  const std::uint16_t* targets = nullptr; ///< (P)
  const float* shares = nullptr;          ///< (P) factor on a prediction's loss, 0: not scored; null: all 1
  std::int64_t length = 0; ///< N of this micro-batch, at most what the model was made for; 0: exactly that
  float loss_factor = 0;   ///< 1 / predictions in the global batch: gradients are those of the mean loss; in fp16 times
                           ///< the scale of the loss, and so are the gradients
  std::uint64_t seed = 0;  ///< dropout: seed, step and the number of the first sequence in the batch
  std::uint32_t step = 0;
  std::uint32_t first_sample = 0;
};

/// Loss and hits of a micro-batch, per prediction (P), in host memory.
struct Scores {
  HostVector<float> losses; ///< nats
  HostVector<float> hits;   ///< 1 where the most probable symbol was the right one
};

} // namespace weft
