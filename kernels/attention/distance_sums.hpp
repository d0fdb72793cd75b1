// The gradient of scores by distance (AttentionExtras::distances): tasks that run side by side have sums of their own.
// Included by kernels/attention/attention.cpp only.
#pragma once
#include "kernels/attention/attention.hpp"
#include "kernels/common/kokkos.hpp"
#include <algorithm>

namespace weft::detail {

/// How many sums there are: in the team version this many at most; on a host every range of keys of a head has its own.
constexpr std::int64_t most_team_sums = 64;
inline std::int64_t distance_sums(const AttentionShape& shape, std::int64_t query_tiles, std::int64_t key_ranges,
                                  bool team) {
  return team ? std::min(shape.heads * query_tiles, most_team_sums) : shape.batch * shape.heads * key_ranges;
}

/// to[n] += from[0, n] + from[1, n] + ... + from[sums - 1, n]
inline void add_distance_sums(float* to, const float* from, std::int64_t sums, std::int64_t count) {
  for_each_range(
      "weft::attention::distances", count, KOKKOS_LAMBDA(std::int64_t begin, std::int64_t end) {
        for (std::int64_t n = begin; n < end; ++n) {
          float sum = 0;
          for (std::int64_t s = 0; s < sums; ++s)
            sum += from[s * count + n];
          to[n] += sum;
        }
      });
}

} // namespace weft::detail
