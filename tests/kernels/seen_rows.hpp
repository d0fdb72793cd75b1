// Rows that are not seen, for the tests of kernels that go along sequences.
#pragma once
#include "kernels/pool/pool.hpp"
#include <cmath>
#include <cstdint>
#include <vector>

namespace weft::test {

/// Bits: sequence s of three is real up to a length, real here and there, all real. Bits from N on are set.
inline std::vector<std::uint32_t> some_seen(std::int64_t sequences, std::int64_t length) {
  std::vector<std::uint32_t> seen(static_cast<std::size_t>(sequences * seen_words(length)), 0);
  for (std::int64_t s = 0; s < sequences; ++s)
    for (std::int64_t i = 0; i < 32 * seen_words(length); ++i)
      if (i >= length || (s % 3 == 0 ? 3 * i < 2 * length : s % 3 == 2 || i % 5 != 2))
        seen[static_cast<std::size_t>(s * seen_words(length) + i / 32)] |= 1u << (i % 32);
  return seen;
}

/// x, of rows of some width, with a number in all rows that are not seen.
inline std::vector<double> spoilt_rows(std::vector<double> x, const std::vector<std::uint32_t>& seen,
                                       std::int64_t sequences, std::int64_t length, double with = NAN) {
  const std::int64_t width = static_cast<std::int64_t>(x.size()) / (sequences * length);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::int64_t row = static_cast<std::int64_t>(i) / width;
    if (!is_seen(seen.data(), seen_words(length), row / length, row % length))
      x[i] = with;
  }
  return x;
}

} // namespace weft::test
