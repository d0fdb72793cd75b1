// Features of two documents that one encoder has read, for a head that compares them. x (2B, D) holds the vectors of
// the B first documents, then those of the B second ones; row b of the features (B, pair_width) is
//   both          x1, x2
//   second_first  x2, x1
//   four          x1, x2, x1 * x2, x1 - x2      (number by number)
#pragma once
#include "kernels/common/types.hpp"

namespace weft {

enum class PairFeatures { both, second_first, four };

constexpr std::int64_t pair_width(PairFeatures kind, std::int64_t width) {
  return kind == PairFeatures::four ? 4 * width : 2 * width;
}

/// Overwrites features[B, pair_width(kind, D)].
template <class T>
void pairs_forward(T* features, const T* x, PairFeatures kind, std::int64_t pairs, std::int64_t width);

/// Overwrites dx[2B, D] from the gradient of the features.
template <class T>
void pairs_backward(T* dx, const T* dfeatures, const T* x, PairFeatures kind, std::int64_t pairs, std::int64_t width);

namespace reference {
void pairs_forward(double* features, const double* x, PairFeatures kind, std::int64_t pairs, std::int64_t width);
void pairs_backward(double* dx, const double* dfeatures, const double* x, PairFeatures kind, std::int64_t pairs,
                    std::int64_t width);
} // namespace reference

} // namespace weft
