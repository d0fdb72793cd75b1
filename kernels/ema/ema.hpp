// The damped exponential moving average of MEGA (Ma et al. 2023, arXiv:2209.10655, sections 3.1 and 3.2). Every channel
// has `states` averages of its own, of which it reads a weighted sum:
//   p = sigmoid(delta),  a = sigmoid(alpha),  q = 1 - p a
//   h_t = p beta x_t + q h_{t-1},   y_t = sum over states of gamma h_t / sqrt(states),   out_t = y_t + omega x_t
// (the paper calls p alpha and a delta). With two directions y_t is the sum of one such scan from the front and one
// from the end, each with numbers of its own; both hold x_t itself. The paper's SiLU behind it is left to the caller.
//
// A position that is not seen is no input: it is not read, averages decay over it, and out is 0 there. Nothing is cut
// off: the authors' code drops what lies more than 1,024 positions back, which has decayed by then.
//
// The states are known at the borders of chunks of ema_chunk rows, from where each chunk is computed on its own.
// Backward, with c = gamma p beta / sqrt(states) and h' = h / (p beta):
//   g_t = dout_t + q g_{t+1},   dx_t = omega dout_t + sum over states of c g_t,   dc = sum of dout_t h'_t,
//   dq = c sum of g_t h'_{t-1}
// where h' is made again chunk by chunk. States and sums are fp32, in an order fixed by the shape; neither threads nor
// other sequences change a bit.
#pragma once
#include "kernels/common/into.hpp"
#include "kernels/common/types.hpp"

namespace weft {

/// x and out [S,N,D].
struct EmaShape {
  std::int64_t sequences, length, width, states;
  std::int64_t directions; ///< 1: from the front alone (causal); 2: from the end too
};

/// delta, alpha, beta, gamma [directions,D,states]; omega [D].
template <class Pointer>
struct EmaTensors {
  Pointer delta, alpha, beta, gamma, omega;
};

constexpr std::int64_t ema_chunk = 64; ///< rows between two borders
constexpr std::int64_t ema_span = 8;   ///< chunks of which the gradients of the tensors are summed in one place

/// Floats of workspace of either pass: linear in N, about two numbers per number of x with 16 states.
std::int64_t ema_workspace(const EmaShape& shape);

/// Operations of a pass.
double ema_work(const EmaShape& shape, bool backward);

/// Overwrites out. seen: key bits as kernels/pool has them; null: every position is.
template <class T>
void ema_forward(const EmaShape& shape, T* out, const T* x, const std::uint32_t* seen,
                 const EmaTensors<const float*>& tensors, float* workspace);

/// Overwrites the gradients of the tensors, and overwrites dx or adds to it; dx is 0, or stays, where nothing is seen.
/// dout is not read there.
template <class T>
void ema_backward(const EmaShape& shape, T* dx, Into into, const EmaTensors<float*>& gradients, const T* dout,
                  const T* x, const std::uint32_t* seen, const EmaTensors<const float*>& tensors, float* workspace);

/// What steps over positions read of the tensors, made once: coefficients of 2 D states numbers, overwritten. One
/// direction.
void ema_step_coefficients(const EmaShape& shape, float* coefficients, const EmaTensors<const float*>& tensors);

/// One more position: overwrites out[S,D], from x[S,D], and the averages h[S,states,D] behind the positions
/// before it (0 in front of the first) become those behind it. shape.length is not read.
template <class T>
void ema_step(const EmaShape& shape, float* h, T* out, const T* x, const float* coefficients, const float* omega);

namespace reference {
/// As the convolution with kernel[l] = sum over states of gamma p beta q^l / sqrt(states).
void ema_forward(const EmaShape& shape, double* out, const double* x, const std::uint32_t* seen,
                 const EmaTensors<const double*>& tensors);
/// Overwrites all.
void ema_backward(const EmaShape& shape, double* dx, const EmaTensors<double*>& gradients, const double* dout,
                  const double* x, const std::uint32_t* seen, const EmaTensors<const double*>& tensors);
} // namespace reference

} // namespace weft
