// The diagonal state space model S4D (Gu et al. 2022, arXiv:2206.11893, sections 3 and 4). Every channel has `modes`
// complex numbers A = -exp(decay) + i angle and a step dt = exp(step), and is convolved with a kernel of its own:
//   kernel[l] = 2 Re sum over modes of C (exp(dt A) - 1) / A exp(l dt A)
//   y_t = sum over l >= 0 of kernel[l] x_{t-l} + skip x_t
// With two directions a second kernel, with the same A and dt and a C of its own, runs over the reversed sequence, and
// both hold x_t itself. A position that is not seen is no input: it is not read, and y is 0 there.
//
// The convolution is also a recurrence of `modes` states: lambda = exp(dt A), w = 2 C (lambda - 1) / A,
//   s_t = lambda s_{t-1} + x_t,   y_t = Re sum over modes of w s_t
// Here states are known at the borders of chunks of s4d_chunk rows alone, and everything within and between two borders
// is a small matrix product for each channel, with the powers lambda^0 to lambda^s4d_chunk, which are rounded once:
//   into a border:   the sum over a chunk's rows of lambda^(rows behind it) x
//   out of one:      Re sum over modes of lambda^(rows from it) w s
//   within a chunk:  the first s4d_chunk numbers of the kernel, a triangle, or of both kernels, a square
// so that a state costs 4 multiply-adds at every row, where a scan takes 10, and none waits for another. The gradient
// of x is the same with the directions swapped; those of C, A and dt follow from two sums over all pairs of rows,
//   P = sum of lambda^l dy_t x_{t-l},   P' = sum of l lambda^l dy_t x_{t-l}
// States and sums are fp32, in an order fixed by the shape; neither threads nor other sequences change a bit.
#pragma once
#include "kernels/common/types.hpp"

namespace weft {

/// x and y [S,N,D], M modes.
struct S4dShape {
  std::int64_t sequences, length, width, modes;
  std::int64_t directions; ///< 1: from the front alone (causal); 2: from the end too
};

/// decay, angle [D,M]; step [D]; c [directions,D,M,2], real and imaginary parts; skip [D].
template <class Pointer>
struct S4dTensors {
  Pointer decay, angle, step, c, skip;
};

constexpr std::int64_t s4d_chunk = 64; ///< rows between two borders
constexpr std::int64_t s4d_span = 8;   ///< chunks of which the gradients of the tensors are summed in one place

/// Floats of workspace of either pass: with 32 modes, for each direction 2.5 for each number of x, and tables.
std::int64_t s4d_workspace(const S4dShape& shape);

/// Operations of a pass.
double s4d_work(const S4dShape& shape, bool backward);

/// Overwrites y. seen: key bits as kernels/pool has them; null: every position is.
template <class T>
void s4d_forward(const S4dShape& shape, T* y, const T* x, const std::uint32_t* seen,
                 const S4dTensors<const float*>& tensors, float* workspace);

/// Overwrites dx, with 0 where nothing is seen, and the gradients of the tensors. dy is not read there.
template <class T>
void s4d_backward(const S4dShape& shape, T* dx, const S4dTensors<float*>& gradients, const T* dy, const T* x,
                  const std::uint32_t* seen, const S4dTensors<const float*>& tensors, float* workspace);

namespace reference {
/// As the convolution.
void s4d_forward(const S4dShape& shape, double* y, const double* x, const std::uint32_t* seen,
                 const S4dTensors<const double*>& tensors);
/// Overwrites all.
void s4d_backward(const S4dShape& shape, double* dx, const S4dTensors<double*>& gradients, const double* dy,
                  const double* x, const std::uint32_t* seen, const S4dTensors<const double*>& tensors);
} // namespace reference

} // namespace weft
