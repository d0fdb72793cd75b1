// The activation of the feed-forward layer: f(u) = u * sigmoid(1.702 u), the sigmoid form of GELU
// (Hendrycks and Gimpel 2016, section 2; Child et al. 2019, section 5.2).
#pragma once
#include "kernels/common/types.hpp"
#include "kernels/sum/sum.hpp"

namespace weft {

/// out[i] = f(u[i]), i in [0, n); overwrites out.
template <class T>
void activation_forward(T* out, const T* u, std::int64_t n);

/// One pass for all that the backward pass wants of f, u of shape (rows, width):
///   out = f(u), again;   du = dout f'(u), f'(u) = s + 1.702 u s (1 - s), s = sigmoid(1.702 u);   dbias = sum of du
/// over the rows, in column_sum's order. Overwrites out, du (which may be dout) and dbias[width].
/// partial: workspace of column_sum_workspace(rows, width) floats.
template <class T>
void activation_backward(T* out, T* du, float* dbias, const T* dout, const T* u, std::int64_t rows, std::int64_t width,
                         float* partial);

namespace reference {
void activation_forward(double* out, const double* u, std::int64_t n);
void activation_backward(double* du, const double* dout, const double* u, std::int64_t n);
} // namespace reference

} // namespace weft
