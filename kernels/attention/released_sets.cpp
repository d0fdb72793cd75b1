#include "kernels/attention/released_sets.hpp"
#include "kernels/common/kokkos.hpp"

namespace weft {

void released_set_bits(std::uint32_t* bits, const std::uint32_t* seen, std::int64_t sequences,
                       const ReleasedSets& sets) {
  const std::int64_t N = sets.length, b = sets.block, C = sets.sets, whole = sets.whole();
  const std::int64_t words = (whole + 31) / 32, from = (N + 31) / 32;
  for_each(
      "weft::released_set_bits", sequences * words, KOKKOS_LAMBDA(std::int64_t task) {
        const std::int64_t s = task / words, first = task % words * 32;
        std::uint32_t word = 0;
        for (std::int64_t t = first; t < first + 32 && t < whole; ++t) {
          const std::int64_t at = t % C * b + t / C;
          if (at >= N || (seen[s * from + at / 32] >> (at % 32) & 1u) != 0)
            word |= 1u << (t - first);
        }
        bits[task] = word;
      });
}

} // namespace weft
