// The matrix products of a linear layer y = x W + b. They are bought: oneDNN on the host, cuBLASLt on the device.
// All matrices are row-major and dense. T is float, bf16 or fp16; sums are fp32.
#pragma once
#include "kernels/common/into.hpp"
#include "kernels/common/types.hpp"
#include <cstddef>

namespace weft {

/// M rows (tokens), K inputs, N outputs.
struct LinearShape {
  std::int64_t rows, inputs, outputs;
};

/// y[M,N] = x[M,K] W[K,N] + b[N]; overwrites y. b may be null. Out is T or float.
template <class T, class Out>
void linear_forward(const LinearShape& shape, Out* y, const T* x, const T* w, const float* b);

/// dx[M,K] = dy[M,N] W[K,N]^T; overwrites dx.
template <class T>
void linear_backward_input(const LinearShape& shape, T* dx, const T* dy, const T* w);

/// dw[K,N] = x[M,K]^T dy[M,N]; overwrites dw (fp32), or adds to it: weights that are used more than once.
template <class T>
void linear_backward_weight(const LinearShape& shape, float* dw, const T* x, const T* dy, Into into = Into::overwrite);

/// Bytes of scratch that the three products of this shape need: a processor without arithmetic for T converts.
template <class T>
std::size_t linear_workspace_bytes(const LinearShape& shape);

/// Sets the scratch memory aside, once, before the first product that needs it; keeps the larger of two requests.
/// A product that needs more throws std::logic_error.
void linear_reserve(std::size_t bytes);

/// The same in double and plain loops; the judge of the above.
namespace reference {
void linear_forward(const LinearShape& shape, double* y, const double* x, const double* w, const double* b);
void linear_backward_input(const LinearShape& shape, double* dx, const double* dy, const double* w);
void linear_backward_weight(const LinearShape& shape, double* dw, const double* x, const double* dy,
                            Into into = Into::overwrite);
} // namespace reference

} // namespace weft
