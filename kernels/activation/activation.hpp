// The activation f of a feed-forward layer or a head:
//   sigmoid_gelu  u sigmoid(1.702 u), the sigmoid form of GELU (Hendrycks and Gimpel 2016, section 2; Child et al.
//   2019,
//                 section 5.2)
//   gelu_tanh     u (1 + tanh(sqrt(2/pi) (u + 0.044715 u^3))) / 2, their form with tanh
//   gelu          u Phi(u), Phi the normal distribution (exact: error function)
//   relu          max(u, 0); its slope at 0 is 0
//   silu          u sigmoid(u)
//   tanh          tanh(u)
#pragma once
#include "kernels/common/types.hpp"
#include "kernels/sum/sum.hpp"

namespace weft {

enum class Activation { sigmoid_gelu, gelu_tanh, gelu, relu, silu, tanh };

/// out[i] = f(u[i]), i in [0, n); overwrites out, which may be u.
template <class T>
void activation_forward(T* out, const T* u, std::int64_t n, Activation kind = Activation::sigmoid_gelu);

/// One pass for all that the backward pass wants of f, u of shape (rows, width):
///   out = f(u), again;   du = dout f'(u);   dbias = sum of du over the rows, in column_sum's order.
/// Overwrites out, du (which may be dout) and dbias[width].
/// partial: workspace of column_sum_workspace(rows, width) floats.
template <class T>
void activation_backward(T* out, T* du, float* dbias, const T* dout, const T* u, std::int64_t rows, std::int64_t width,
                         float* partial, Activation kind = Activation::sigmoid_gelu);

namespace reference {
void activation_forward(double* out, const double* u, std::int64_t n, Activation kind = Activation::sigmoid_gelu);
void activation_backward(double* du, const double* dout, const double* u, std::int64_t n,
                         Activation kind = Activation::sigmoid_gelu);
} // namespace reference

} // namespace weft
