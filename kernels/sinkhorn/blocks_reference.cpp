#include "kernels/sinkhorn/blocks.hpp"
#include <algorithm>

namespace weft::reference {
namespace {

bool real_row(const BlockShape& a, const std::uint32_t* seen, std::int64_t s, std::int64_t i) {
  return i < a.length && (!seen || (seen[s * ((a.length + 31) / 32) + i / 32] >> (i % 32) & 1u) != 0);
}

/// work(s, i) for every real row.
template <class Work>
void for_real_rows(const BlockShape& a, const std::uint32_t* seen, const Work& work) {
  for (std::int64_t s = 0; s < a.sequences; ++s)
    for (std::int64_t i = 0; i < a.length; ++i)
      if (real_row(a, seen, s, i))
        work(s, i);
}

} // namespace

void block_sums_forward(const BlockShape& a, std::int64_t width, double* sums, const double* x,
                        const std::uint32_t* seen) {
  std::fill(sums, sums + a.sequences * a.blocks() * width, 0.0);
  for_real_rows(a, seen, [&](std::int64_t s, std::int64_t i) {
    for (std::int64_t j = 0; j < width; ++j)
      sums[(s * a.blocks() + i / a.block) * width + j] += x[(s * a.length + i) * width + j];
  });
}

void block_sums_backward(const BlockShape& a, std::int64_t width, double* dx, const double* dsums,
                         const std::uint32_t* seen) {
  for_real_rows(a, seen, [&](std::int64_t s, std::int64_t i) {
    for (std::int64_t j = 0; j < width; ++j)
      dx[(s * a.length + i) * width + j] += dsums[(s * a.blocks() + i / a.block) * width + j];
  });
}

void mix_blocks_forward(const BlockShape& a, std::int64_t heads, std::int64_t width, double* sorted, const double* rows,
                        const double* p, const std::uint32_t* seen) {
  const std::int64_t n = a.blocks(), C = heads * width;
  std::fill(sorted, sorted + a.sequences * a.whole() * C, 0.0);
  for_real_rows(a, seen, [&](std::int64_t s, std::int64_t i) {
    for (std::int64_t to = 0; to < n; ++to)
      for (std::int64_t c = 0; c < C; ++c)
        sorted[(s * a.whole() + to * a.block + i % a.block) * C + c] +=
            p[((s * heads + c / width) * n + to) * n + i / a.block] * rows[(s * a.length + i) * C + c];
  });
}

void mix_blocks_backward(const BlockShape& a, std::int64_t heads, std::int64_t width, double* drows, double* dp,
                         const double* dsorted, const double* rows, const double* p, const std::uint32_t* seen) {
  const std::int64_t n = a.blocks(), C = heads * width;
  for_real_rows(a, seen, [&](std::int64_t s, std::int64_t i) {
    for (std::int64_t to = 0; to < n; ++to)
      for (std::int64_t c = 0; c < C; ++c) {
        const std::int64_t weight = ((s * heads + c / width) * n + to) * n + i / a.block,
                           row = (s * a.length + i) * C + c;
        const double slope = dsorted[(s * a.whole() + to * a.block + i % a.block) * C + c];
        drows[row] += p[weight] * slope;
        dp[weight] += rows[row] * slope;
      }
  });
}

} // namespace weft::reference
