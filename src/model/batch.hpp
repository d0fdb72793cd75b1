// What a model computes on and what it gives back: one micro-batch.
#pragma once
#include "kernels/common/transfer.hpp"
#include <cstdint>

namespace weft {

/// S sequences of `length` tokens with P predictions. All arrays are host memory that lives until the pass returns.
/// Two towers are the sequences of one micro-batch: of B pairs first the B first documents, then the B second ones.
struct Batch {
  const std::uint16_t* tokens = nullptr;  ///< (S, length), padding included
  const std::uint32_t* seen = nullptr;    ///< (S, ceil(length/32)) bit i mod 32 of word i/32: position i is real;
                                          ///< null: all positions are
  const std::uint16_t* targets = nullptr; ///< (P) P = S*length for a model of the next token, where this may be the
                                          ///< very array `tokens`; P = S (S/2 for pairs) for classes
  const float* shares = nullptr;          ///< (P) weight of a prediction in the loss, 0: not scored; null: all 1
  std::int64_t length = 0;                ///< model.context, or less where Model::variable_length()
  float loss_factor = 0;                  ///< 1 / scored predictions in the global batch: gradients are those of the
                                          ///< mean loss; in fp16 times the scale of the loss, and so are the gradients
  std::uint64_t seed = 0;                 ///< dropout: seed, step and the number of the first row in the global batch
  std::uint32_t step = 0, first_sample = 0;
};

/// Of a micro-batch, per prediction (P), in host memory.
struct Scores {
  HostVector<float> losses; ///< nats, times the share
  HostVector<float> hits;   ///< 1 where the most probable choice was the right one, 0 where the share is 0
};

} // namespace weft
