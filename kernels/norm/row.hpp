// One row of a layer norm, for every kernel that has a row at hand. Included by .cpp files under kernels/ only.
#pragma once
#include "kernels/common/kokkos.hpp"
#include "kernels/common/numbers.hpp"

namespace weft {

/// to = gain * (from - mean) * rstd + bias
template <class T>
KOKKOS_INLINE_FUNCTION void normalise_row(T* to, float mean, float rstd, const T* from, const float* gain,
                                          const float* bias, std::int64_t width) {
  for_numbers(0, width, [&](std::int64_t j, std::int64_t count) {
    const Numbers normalised = (numbers_at(from + j, count) - mean) * rstd;
    put_numbers(to + j, numbers_at(gain + j, count) * normalised + numbers_at(bias + j, count), count);
  });
}

/// The same with the row's own statistics, which it writes.
template <class T>
KOKKOS_INLINE_FUNCTION void norm_row(T* to, float& mean, float& rstd, const T* from, const float* gain,
                                     const float* bias, std::int64_t width, float epsilon) {
  const float n = static_cast<float>(width);
  const float m =
      sum_of_numbers(width, [&](std::int64_t j, std::int64_t count) { return numbers_at(from + j, count); }) / n;
  const float squares = sum_of_numbers(width, [&](std::int64_t j, std::int64_t count) {
    const Numbers apart = numbers_at(from + j, count) - m;
    return apart * apart;
  });
  const float r = 1.0f / Kokkos::sqrt(squares / n + epsilon);
  normalise_row(to, m, r, from, gain, bias, width);
  mean = m;
  rstd = r;
}

} // namespace weft
