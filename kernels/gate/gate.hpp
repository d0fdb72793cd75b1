// The gates of MEGA's attention (Ma et al. 2023, arXiv:2209.10655, section 3.3), number by number. The rows `mixed` are
// one linear map of the moving averages; a row holds, side by side,
//   [u | z | r | h]   of widths D, Z, V, D
// and from it and the rows v of another map come
//   q = gain_q silu(z) + shift_q,   k = gain_k silu(z) + shift_k,   values = silu(v)     gate_heads
//   out = attended silu(r)                                                               gate_reset
//   hidden = hidden + h                                                                  gate_hidden
//   y = sigmoid(u) (hidden - x)                                                          gate_update
// What lies between them are products, activations and dropout of other kernels. Sums are fp32: of blocks of 64 rows,
// then the blocks in order.
#pragma once
#include "kernels/common/types.hpp"

namespace weft {

struct GateShape {
  std::int64_t rows, width, shared, values; ///< R, D, Z, V

  constexpr std::int64_t mixed() const { return 2 * width + shared + values; } ///< numbers of a row of `mixed`
  constexpr std::int64_t heads() const { return 2 * shared + values; }         ///< of a row [q | k | values]
};

/// [Z] each
template <class Pointer>
struct GateTensors {
  Pointer gain_q, shift_q, gain_k, shift_k;
};

/// Overwrites qkv [R, heads].
template <class T>
void gate_heads_forward(const GateShape& shape, T* qkv, const T* mixed, const T* v,
                        const GateTensors<const float*>& tensors);

/// Overwrites the z columns of dmixed, dv [R,V] and the gradients of the tensors.
/// partial: workspace of gate_workspace(shape) floats.
template <class T>
void gate_heads_backward(const GateShape& shape, T* dmixed, T* dv, const GateTensors<float*>& gradients, const T* dqkv,
                         const T* mixed, const T* v, const GateTensors<const float*>& tensors, float* partial);

constexpr std::int64_t gate_block = 64;
constexpr std::int64_t gate_workspace(const GateShape& s) {
  return (s.rows + gate_block - 1) / gate_block * 4 * s.shared;
}

/// Overwrites out [R,V].
template <class T>
void gate_reset_forward(const GateShape& shape, T* out, const T* attended, const T* mixed);

/// Overwrites dattended [R,V], which may be dout, and the r columns of dmixed.
template <class T>
void gate_reset_backward(const GateShape& shape, T* dattended, T* dmixed, const T* dout, const T* attended,
                         const T* mixed);

/// Adds the h columns to hidden [R,D].
template <class T>
void gate_hidden_forward(const GateShape& shape, T* hidden, const T* mixed);

/// Overwrites the h columns of dmixed.
template <class T>
void gate_hidden_backward(const GateShape& shape, T* dmixed, const T* dhidden);

/// Overwrites y [R,D].
template <class T>
void gate_update_forward(const GateShape& shape, T* y, const T* mixed, const T* hidden, const T* x);

/// Overwrites dhidden and dx [R,D], of which dx may be dy, and the u columns of dmixed.
template <class T>
void gate_update_backward(const GateShape& shape, T* dhidden, T* dx, T* dmixed, const T* dy, const T* mixed,
                          const T* hidden, const T* x);

namespace reference {
void gate_heads_forward(const GateShape& shape, double* qkv, const double* mixed, const double* v,
                        const GateTensors<const double*>& tensors);
void gate_heads_backward(const GateShape& shape, double* dmixed, double* dv, const GateTensors<double*>& gradients,
                         const double* dqkv, const double* mixed, const double* v,
                         const GateTensors<const double*>& tensors);
void gate_reset_forward(const GateShape& shape, double* out, const double* attended, const double* mixed);
void gate_reset_backward(const GateShape& shape, double* dattended, double* dmixed, const double* dout,
                         const double* attended, const double* mixed);
void gate_hidden_forward(const GateShape& shape, double* hidden, const double* mixed);
void gate_hidden_backward(const GateShape& shape, double* dmixed, const double* dhidden);
void gate_update_forward(const GateShape& shape, double* y, const double* mixed, const double* hidden, const double* x);
void gate_update_backward(const GateShape& shape, double* dhidden, double* dx, double* dmixed, const double* dy,
                          const double* mixed, const double* hidden, const double* x);
} // namespace reference

} // namespace weft
