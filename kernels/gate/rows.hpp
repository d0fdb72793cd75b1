// Loops over the numbers of rows. Included by .cpp files under kernels/ only.
#pragma once
#include "kernels/common/kokkos.hpp"
#include "kernels/common/numbers.hpp"

namespace weft {

/// Calls body(i, j, count) for all numbers of rows of `width`: on a host a row is a task, on a device a number is.
template <class Body>
void for_rows(const char* label, std::int64_t rows, std::int64_t width, const Body& body) {
#ifdef WEFT_CUDA
  for_each(
      label, rows * width, KOKKOS_LAMBDA(std::int64_t at) { body(at / width, at % width, std::int64_t{1}); });
#else
  for_each(label, rows, [=](std::int64_t i) {
    for_numbers(0, width, [&](std::int64_t j, std::int64_t count) { body(i, j, count); });
  });
#endif
}

} // namespace weft
