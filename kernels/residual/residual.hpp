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

/// B sequences of N rows of width D.
struct ResidualShape {
  std::int64_t batch, length, width;
};

/// out = x + dropout(y) and, in the same pass, normed = norm(out) with its mean and rstd as norm_forward gives them,
/// all of shape (B N, D), statistics (B N). Overwrites all four; out may be x or y. Element i of a sequence's mask
/// belongs to row i / D, column i mod D.
template <class T>
void residual_forward(T* out, T* normed, float* mean, float* rstd, const T* x, const T* y, const Dropout& dropout,
                      const float* gain, const float* bias, float epsilon, const ResidualShape& shape);

/// dy = dropout mask * dout / (1 - p), and its column sums, the gradient of the bias that y ends with: dbias[D]. dx is
/// dout itself; so is dy where p = 0. Overwrites dy, which may be dout, and dbias.
/// partial: workspace of column_sum_workspace(B N, D) floats.
template <class T>
void residual_backward(T* dy, float* dbias, const T* dout, const Dropout& dropout, const ResidualShape& shape,
                       float* partial);

/// True where element i of sequence b is kept; one definition for every path.
WEFT_FUNCTION bool dropout_keeps(std::uint32_t random, std::uint32_t threshold) { return random >= threshold; }

/// The probability as a threshold on 32 random bits.
WEFT_FUNCTION std::uint32_t dropout_threshold(float probability) {
  return static_cast<std::uint32_t>(static_cast<double>(probability) * 4294967296.0);
}

} // namespace weft
