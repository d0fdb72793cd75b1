// The activation of the feed-forward layer: f(u) = u * sigmoid(1.702 u), the sigmoid form of GELU
// (Hendrycks and Gimpel 2016, section 2; Child et al. 2019, section 5.2).
#pragma once
#include "kernels/common/types.hpp"

namespace weft {

/// out[i] = f(u[i]), i in [0, n); overwrites out.
template <class T>
void activation_forward(T* out, const T* u, std::int64_t n);

/// du[i] = dout[i] f'(u[i]), f'(u) = s + 1.702 u s (1 - s), s = sigmoid(1.702 u); overwrites du, which may be dout.
template <class T>
void activation_backward(T* du, const T* dout, const T* u, std::int64_t n);

namespace reference {
void activation_forward(double* out, const double* u, std::int64_t n);
void activation_backward(double* du, const double* dout, const double* u, std::int64_t n);
} // namespace reference

} // namespace weft
