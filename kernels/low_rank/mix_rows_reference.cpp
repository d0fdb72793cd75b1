#include "kernels/low_rank/mix_rows.hpp"
#include <algorithm>

namespace weft::reference {

namespace {
bool is_seen(const MixShape& s, const std::uint32_t* seen, std::int64_t b, std::int64_t i) {
  return !seen || (seen[b * ((s.length + 31) / 32) + i / 32] >> (i % 32) & 1u) != 0;
}
} // namespace

void mix_rows_forward(const MixShape& s, double* p, const double* e, const double* x, const std::uint32_t* seen) {
  std::fill(p, p + s.sequences * s.rank * s.width, 0.0);
  for (std::int64_t b = 0; b < s.sequences; ++b)
    for (std::int64_t i = 0; i < s.length; ++i)
      for (std::int64_t j = 0; j < s.rank && is_seen(s, seen, b, i); ++j)
        for (std::int64_t c = 0; c < s.width; ++c)
          p[(b * s.rank + j) * s.width + c] += e[i * s.rank + j] * x[(b * s.length + i) * s.width + c];
}

void mix_rows_backward(const MixShape& s, double* dx, double* de, const double* e, const double* dp, const double* x,
                       const std::uint32_t* seen) {
  std::fill(dx, dx + s.sequences * s.length * s.width, 0.0);
  std::fill(de, de + s.length * s.rank, 0.0);
  for (std::int64_t b = 0; b < s.sequences; ++b)
    for (std::int64_t i = 0; i < s.length; ++i)
      for (std::int64_t j = 0; j < s.rank && is_seen(s, seen, b, i); ++j)
        for (std::int64_t c = 0; c < s.width; ++c) {
          const std::int64_t row = (b * s.length + i) * s.width + c, mixed = (b * s.rank + j) * s.width + c;
          dx[row] += e[i * s.rank + j] * dp[mixed];
          de[i * s.rank + j] += x[row] * dp[mixed];
        }
}

} // namespace weft::reference
