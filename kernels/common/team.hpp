// Loops of a team: a block of threads on a device, one thread with vector registers on a host. Included by .cpp files
// only.
#pragma once
#include "kernels/common/kokkos.hpp"

namespace weft {

/// body(i) for i in [0, n), then a barrier.
template <class Member, class Body>
KOKKOS_INLINE_FUNCTION void each(const Member& member, std::int64_t n, const Body& body) {
#ifdef WEFT_CUDA
  Kokkos::parallel_for(Kokkos::TeamThreadRange(member, n), body);
  member.team_barrier();
#else
  static_cast<void>(member);
  for (std::int64_t i = 0; i < n; ++i)
    body(i);
#endif
}

} // namespace weft
