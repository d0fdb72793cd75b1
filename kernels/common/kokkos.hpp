// How kernels are written here: one flat loop or one loop over teams, always on the default execution space.
// Only .cpp files under kernels/ include this.
#pragma once
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
#endif
  Kokkos::parallel_for(label, Kokkos::RangePolicy<Space, Kokkos::IndexType<std::int64_t>>(0, n), body);
}

} // namespace weft
