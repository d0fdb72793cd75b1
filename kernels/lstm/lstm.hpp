// The recurrence of a bidirectional LSTM layer (Hochreiter, Schmidhuber 1997; Gers et al. 2000 for the forget gate;
// Graves, Schmidhuber 2005 for the two directions; gates in PyTorch's order). Products with x for all steps are made
// before, so that of every step only the product with the last state is left. For every sequence of true length n and
// direction d, the first from t = 0 to n - 1, the second from t = n - 1 to 0, "before" meaning the step before:
//   a_t = gates[t] + U_d h_before + b_d          (4h: i, f, g, o)
//   i, f, o = sigmoid(a),   g = tanh(a),   c_t = f c_before + i g,   h_t = o tanh(c_t)
// h and c before the first step are 0, as h_t is behind the length: a sequence never reads padding, and its bits are
// the same in a longer or shorter micro-batch and beside other sequences. States and sums are fp32 and are not rounded
// to the storage type between steps; a sum runs over its index in ascending order.
//
// Backward, over the steps in reverse, with dh_t = dout_t + U_d^T dgates_behind and dc_t = what came from behind:
//   do = dh tanh(c),  dc += dh o (1 - tanh(c)^2),  di = dc g,  df = dc c_before,  dg = dc i,  dc_before = dc f
// each times the slope of its function. Gradients of W, x, U and the biases are products and sums of all steps at once,
// which are the caller's: dU_d = (rows of h_before)^T (rows of dgates), for which lstm_state_operands copies both.
//
// Memory: out (S, N, 2, h); gates (S, N, 2, 4, h); cells (S, N, 2, h), fp32; U (2, h, 4h), row p what state number p
// adds to the gates; bias (2, 4h). The workspace holds U in the order in which it is read, and the states.
#pragma once
#include "kernels/common/types.hpp"

namespace weft {

/// S sequences of at most N steps; states of width h in each direction.
struct LstmShape {
  std::int64_t sequences, length, hidden;
};

/// Where the kernels run: lengths (S), and the numbers of the sequences (S), the longest first.
struct LstmSequences {
  const std::int32_t *lengths, *order;
};

/// Overwrites lengths[S] and order[S]. seen (S, ceil(N / 32)): bit i % 32 of word i / 32 says whether position i is
/// real; a sequence's length is the place of its last set bit, plus 1. Null: all are N long. Bits from N on are not
/// read.
void lstm_sequences(std::int32_t* lengths, std::int32_t* order, const std::uint32_t* seen, const LstmShape& shape);

/// gates: in: W x + b of every step; out: i, f, g, o. Overwrites out and cells, with zeros behind the length, where
/// gates are neither read nor written.
template <class T>
void lstm_forward(const LstmShape& shape, T* out, T* gates, float* cells, const float* state_weight,
                  const float* state_bias, const LstmSequences& of, float* workspace);

/// gates: in: what lstm_forward left; out: their gradients before sigmoid and tanh, zeros behind the length, where
/// dout is not read.
template <class T>
void lstm_backward(const LstmShape& shape, T* gates, const T* dout, const float* cells, const float* state_weight,
                   const LstmSequences& of, float* workspace);

/// Floats that lstm_forward and lstm_backward want.
std::int64_t lstm_workspace(const LstmShape& shape);

/// Of one direction (0 or 1), dense: before[S N, h], the state before each step, zeros behind the length; own[S N, 4h],
/// its part of dgates. Overwrites both.
template <class T>
void lstm_state_operands(const LstmShape& shape, int direction, T* before, T* own, const T* out, const T* dgates,
                         const LstmSequences& of);

/// Multiply-adds counted as two: the products with U of one forward pass, or of the backward pass without dU.
double lstm_work(const LstmShape& shape);

namespace reference {
/// lengths: null: all are N long.
void lstm_forward(const LstmShape& shape, double* out, double* gates, double* cells, const double* state_weight,
                  const double* state_bias, const std::int32_t* lengths);
void lstm_backward(const LstmShape& shape, double* gates, const double* dout, const double* cells,
                   const double* state_weight, const std::int32_t* lengths);
void lstm_state_operands(const LstmShape& shape, int direction, double* before, double* own, const double* out,
                         const double* dgates, const std::int32_t* lengths);
} // namespace reference

} // namespace weft
