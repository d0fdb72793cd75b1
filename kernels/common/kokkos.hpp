// How kernels are written here: one flat loop or one loop over teams, always on the default execution space.
// Only .cpp files under kernels/ include this.
#pragma once
#include "kernels/common/alone.hpp"
#include <Kokkos_Core.hpp>
#include <cstdint>

namespace weft {

using Space = Kokkos::DefaultExecutionSpace;

/// Runs body(i) for i in [0, n); nothing may depend on the order.
template <class Body>
void for_each(const char* label, std::int64_t n, const Body& body) {
#ifndef WEFT_CUDA
  if (n == 1) // a lone row of a decoder: waking the other threads costs more than the work
    return body(std::int64_t{0});
  if (detail::runs_alone.load(std::memory_order_relaxed)) {
    for (std::int64_t i = 0; i < n; ++i)
      body(i);
    return;
  }
#endif
  Kokkos::parallel_for(label, Kokkos::RangePolicy<Space, Kokkos::IndexType<std::int64_t>>(0, n), body);
}

/// What one task of a loop over columns or elements takes: on a host long enough to be vector code and short enough to
/// share out; on a device neighbouring threads take neighbouring elements.
#ifdef WEFT_CUDA
constexpr std::int64_t strip_width = 4, range_width = 1;
#else
constexpr std::int64_t strip_width = 256, range_width = 1024;
#endif

/// Runs body(begin, end) for ranges that cover [0, n); nothing may depend on where they are cut.
template <class Body>
void for_each_range(const char* label, std::int64_t n, const Body& body) {
  for_each(
      label, (n + range_width - 1) / range_width, KOKKOS_LAMBDA(std::int64_t task) {
        body(task * range_width, task * range_width + range_width < n ? task * range_width + range_width : n);
      });
}

} // namespace weft
