#pragma once
#include "kernels/gemm/gemm.hpp"

namespace weft {

/// Operations per second (2 M K N per product) that a bought matrix product of this shape reaches here and now: the
/// best of a few runs within `seconds`, after one run to warm up. The floor that step times are held against.
template <class T>
double matrix_rate(const LinearShape& shape, double seconds);

} // namespace weft
