// Which elements dropout keeps: a function of (seed, step, sample, tensor, element), so that no mask is stored and the
// backward pass makes it again. Kept elements are multiplied by 1 / (1 - p).
#pragma once
#include "kernels/random/philox.hpp"

namespace weft {

/// Dropout of a micro-batch of sequences. Sequence b of the micro-batch is number first_sample + b of the global batch.
struct Dropout {
  float probability = 0; ///< p in [0, 1); 0 switches it off
  std::uint64_t seed = 0;
  std::uint32_t step = 0;
  std::uint32_t first_sample = 0;
  std::uint32_t tensor = 0;
  /// Where the kernels run: {step, first_sample}, which count instead of the two above, so that a recorded kernel finds
  /// those of the micro-batch that it is replayed for. Null: the two above count.
  const std::uint32_t* moment = nullptr;
};

/// The dropout with the step and first sample that count. Where the kernels run only.
WEFT_FUNCTION Dropout at_moment(Dropout dropout) {
  if (dropout.moment) {
    dropout.step = dropout.moment[0];
    dropout.first_sample = dropout.moment[1];
  }
  return dropout;
}

/// The key of sequence b of the micro-batch. Where the kernels run only.
WEFT_FUNCTION RandomKey key_of(const Dropout& dropout, std::int64_t b) {
  const Dropout d = at_moment(dropout);
  return {d.seed, d.step, d.first_sample + static_cast<std::uint32_t>(b), d.tensor};
}

/// True where the element with this random number is kept; one definition for every path.
WEFT_FUNCTION bool dropout_keeps(std::uint32_t random, std::uint32_t threshold) { return random >= threshold; }

/// The probability as a threshold on 32 random bits.
WEFT_FUNCTION std::uint32_t dropout_threshold(float probability) {
  return static_cast<std::uint32_t>(static_cast<double>(probability) * 4294967296.0);
}

} // namespace weft
