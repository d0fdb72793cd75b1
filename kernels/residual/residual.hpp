// The residual addition with dropout on the added branch (Child et al. 2019, section 5.4): the only dropout there is.
//   out = x + mask * y / (1 - p)
// The mask is a function of (seed, step, sample, tensor, element): the backward pass makes it again.
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

/// out[b,i] = x[b,i] + dropout(y[b,i]), b in [0, batch), i in [0, n), n = N*D; overwrites out, which may be x or y.
template <class T>
void residual_forward(T* out, const T* x, const T* y, const Dropout& dropout, std::int64_t batch, std::int64_t n);

/// dy[b,i] = dropout mask * dout[b,i] / (1 - p); overwrites dy, which may be dout. dx is dout itself.
template <class T>
void residual_backward(T* dy, const T* dout, const Dropout& dropout, std::int64_t batch, std::int64_t n);

/// True where element i of sequence b is kept; one definition for every path.
WEFT_FUNCTION bool dropout_keeps(std::uint32_t random, std::uint32_t threshold) { return random >= threshold; }

/// The probability as a threshold on 32 random bits.
WEFT_FUNCTION std::uint32_t dropout_threshold(float probability) {
  return static_cast<std::uint32_t>(static_cast<double>(probability) * 4294967296.0);
}

} // namespace weft
