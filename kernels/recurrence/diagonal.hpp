// The diagonal recurrence of the linear recurrent unit (Orvieto et al. 2023, arXiv:2303.06349, sections 3.2 to 3.4).
// Every state is one complex number with a complex factor of its own:
//   lambda = exp(-exp(nu) + i exp(theta)),   |lambda| < 1 whatever is learned
//   h_t = lambda h_{t-1} + exp(gain) u_t
// The paper's normalisation is where gain begins: exp(gain) = sqrt(1 - |lambda|^2), so that h is as large as u. With
// two directions the states are scanned from the front and once more from the end, with the same factors; both hold u_t
// itself. A row holds the real parts of all its states and then the imaginary parts, for matrix products around it.
//
// A position that is not seen is no input: it is not read, states go on over it, and h is 0 there.
//
// Backward, with complex gradients dL/dRe + i dL/dIm, conj the conjugate, from the front (from the end: mirrored):
//   a_t = dh_t + conj(lambda) a_{t+1},   du_t = exp(gain) a_t,   dlambda = sum of a_t conj(h_{t-1})
//   dgain = exp(gain) sum of Re(a_t conj(u_t))
// where h is made again. The states are known at the borders of chunks of diagonal_chunk rows, from where each chunk is
// computed on its own. States and sums are fp32, in an order fixed by the shape; neither threads nor other sequences
// change a bit.
#pragma once
#include "kernels/common/types.hpp"

namespace weft {

/// u [S,N,2P]; h [S,N,directions,2P], P states.
struct DiagonalShape {
  std::int64_t sequences, length, states;
  std::int64_t directions; ///< 1: from the front alone (causal); 2: from the end too

  constexpr std::int64_t inputs() const { return 2 * states; }               ///< numbers of a row of u
  constexpr std::int64_t outputs() const { return directions * 2 * states; } ///< numbers of a row of h
};

/// [P] each
template <class Pointer>
struct DiagonalTensors {
  Pointer nu, theta, gain;
};

constexpr std::int64_t diagonal_chunk = 64; ///< rows between two borders
constexpr std::int64_t diagonal_span = 8;   ///< chunks of which the gradients of the tensors are summed in one place

/// Floats of workspace of either pass: with two directions about a sixteenth of the numbers of u.
std::int64_t diagonal_workspace(const DiagonalShape& shape);

/// Operations of a pass.
double diagonal_work(const DiagonalShape& shape, bool backward);

/// Overwrites h. seen: key bits as kernels/pool has them; null: every position is.
template <class T>
void diagonal_forward(const DiagonalShape& shape, T* h, const T* u, const std::uint32_t* seen,
                      const DiagonalTensors<const float*>& tensors, float* workspace);

/// Overwrites du, with 0 where nothing is seen, and the gradients of the tensors. dh is not read there.
template <class T>
void diagonal_backward(const DiagonalShape& shape, T* du, const DiagonalTensors<float*>& gradients, const T* dh,
                       const T* u, const std::uint32_t* seen, const DiagonalTensors<const float*>& tensors,
                       float* workspace);

namespace reference {
/// As the convolution with kernel[l] = exp(gain) lambda^l.
void diagonal_forward(const DiagonalShape& shape, double* h, const double* u, const std::uint32_t* seen,
                      const DiagonalTensors<const double*>& tensors);
/// Overwrites all.
void diagonal_backward(const DiagonalShape& shape, double* du, const DiagonalTensors<double*>& gradients,
                       const double* dh, const double* u, const std::uint32_t* seen,
                       const DiagonalTensors<const double*>& tensors);
} // namespace reference

} // namespace weft
