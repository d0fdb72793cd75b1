// What the tests of Sinkhorn attention's kernels share.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace weft::testing {

inline std::size_t size_of(std::int64_t n) { return static_cast<std::size_t>(n); }

/// Sequence 1 begins with padding, others have some here and there, and a dead block at their end.
inline std::vector<std::uint32_t> some_seen(std::int64_t sequences, std::int64_t length, std::int64_t block) {
  const std::int64_t words = (length + 31) / 32;
  std::vector<std::uint32_t> seen(size_of(sequences * words), 0);
  for (std::int64_t s = 0; s < sequences; ++s)
    for (std::int64_t i = 0; i < 32 * words; ++i)
      if (i >= length || (s == 1 ? i >= block : i % 5 != 3 && i < length - block))
        seen[size_of(s * words + i / 32)] |= 1u << (i % 32);
  return seen;
}

} // namespace weft::testing
