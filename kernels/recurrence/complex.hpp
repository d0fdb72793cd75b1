// Complex numbers side by side, for the recurrences.
#pragma once
#include "kernels/common/kokkos.hpp"
#include "kernels/common/numbers.hpp"

namespace weft {

struct Complex {
  Numbers re, im;
};

/// x + y z
KOKKOS_INLINE_FUNCTION Complex product_added(Complex x, Complex y, Complex z) {
  return {(x.re + y.re * z.re) - y.im * z.im, (x.im + y.re * z.im) + y.im * z.re};
}

KOKKOS_INLINE_FUNCTION Complex product(Complex y, Complex z) {
  return {y.re * z.re - y.im * z.im, y.re * z.im + y.im * z.re};
}

/// Numbers of a row whose imaginary parts lie `apart` behind the real ones.
template <class T>
KOKKOS_INLINE_FUNCTION Complex complex_at(const T* p, std::int64_t apart, std::int64_t count) {
  return {numbers_at(p, count), numbers_at(p + apart, count)};
}
template <class T>
KOKKOS_INLINE_FUNCTION void put_complex(T* p, std::int64_t apart, Complex x, std::int64_t count) {
  put_numbers(p, x.re, count);
  put_numbers(p + apart, x.im, count);
}

} // namespace weft
