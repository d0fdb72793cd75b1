#pragma once
#include "kernels/gemm/gemm.hpp"

namespace weft {

/// Operations per second (2 M K N per product) that a bought matrix product of this shape reaches here and now, after
/// one run to warm up.
struct MatrixRate {
  double best;   ///< of the runs within the time: the floor that step times are held against
  double median; ///< far below it where the machine has other work
};
template <class T>
MatrixRate matrix_rates(const LinearShape& shape, double seconds);

/// The best alone.
template <class T>
double matrix_rate(const LinearShape& shape, double seconds) {
  return matrix_rates<T>(shape, seconds).best;
}

} // namespace weft
