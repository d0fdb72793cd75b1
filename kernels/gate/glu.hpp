// The gated linear unit (Dauphin et al. 2017, arXiv:1612.08083, section 2), number by number: a row of `both` holds two
// maps of the same input side by side, [a | b], each of width D, and
//   out = a sigmoid(b)
#pragma once
#include "kernels/common/types.hpp"

namespace weft {

struct GluShape {
  std::int64_t rows, width; ///< R, D
};

/// Overwrites out [R,D] from both [R,2D].
template <class T>
void glu_forward(const GluShape& shape, T* out, const T* both);

/// Overwrites dboth [R,2D], which may be both.
template <class T>
void glu_backward(const GluShape& shape, T* dboth, const T* dout, const T* both);

namespace reference {
void glu_forward(const GluShape& shape, double* out, const double* both);
void glu_backward(const GluShape& shape, double* dboth, const double* dout, const double* both);
} // namespace reference

} // namespace weft
