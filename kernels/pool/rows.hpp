// What the poolings share: how many rows are seen, and weighted sums of rows. Included by .cpp files under kernels/pool
// only.
#pragma once
#include "kernels/common/kokkos.hpp"
#include "kernels/common/numbers.hpp"
#include "kernels/pool/pool.hpp"

namespace weft {

/// What the sum over a sequence is divided by; 0 where nothing is seen.
KOKKOS_INLINE_FUNCTION float divisor_of(const std::uint32_t* seen, std::int64_t length, std::int64_t s, float divisor) {
  if (divisor != 0.0f)
    return divisor;
  if (!seen)
    return static_cast<float>(length);
  const std::int64_t words = seen_words(length);
  std::int64_t count = 0;
  for (std::int64_t w = 0; w < words; ++w) {
    const std::uint32_t word = seen[s * words + w];
    count += Kokkos::popcount(w + 1 < words || length % 32 == 0 ? word : word & ((1u << (length % 32)) - 1u));
  }
  return static_cast<float>(count);
}

/// body(s, row) for every row of every sequence s.
template <class Body>
void for_rows(const char* label, const PoolShape& shape, const Body& body) {
  const std::int64_t N = shape.length;
  for_each(
      label, shape.sequences * N, KOKKOS_LAMBDA(std::int64_t row) { body(row / N, row); });
}

/// out[s,:] = finish(s, sum over i of weight(s, i) x[s,i,:]): blocks of pool_block rows, then the blocks in order. A
/// row of weight 0 is not read. Overwrites out; partial as pool_workspace says.
template <class T, class Weight, class Finish>
void sum_of_rows(const char* label, T* out, const T* x, const PoolShape& shape, float* partial, const Weight& weight,
                 const Finish& finish) {
  const std::int64_t N = shape.length, D = shape.width, blocks = (N + pool_block - 1) / pool_block;
  const std::int64_t strips = (D + strip_width - 1) / strip_width;
  for_each(
      label, shape.sequences * blocks * strips, KOKKOS_LAMBDA(std::int64_t task) {
        const std::int64_t j0 = task % strips * strip_width, block = task / strips, s = block / blocks;
        const std::int64_t j1 = j0 + strip_width < D ? j0 + strip_width : D, begin = block % blocks * pool_block;
        const std::int64_t end = begin + pool_block < N ? begin + pool_block : N;
        float* sums = partial + block * D;
        for (std::int64_t j = j0; j < j1; ++j)
          sums[j] = 0;
        for (std::int64_t i = begin; i < end; ++i) {
          const float w = weight(s, i);
          if (w == 0.0f)
            continue;
          const T* row = x + (s * N + i) * D;
          for_numbers(j0, j1, [&](std::int64_t j, std::int64_t count) {
            put_numbers(sums + j, numbers_at(sums + j, count) + w * numbers_at(row + j, count), count);
          });
        }
      });
  for_each(
      "weft::sum_of_rows_blocks", shape.sequences * strips, KOKKOS_LAMBDA(std::int64_t task) {
        const std::int64_t j0 = task % strips * strip_width, s = task / strips;
        const std::int64_t j1 = j0 + strip_width < D ? j0 + strip_width : D;
        for_numbers(j0, j1, [&](std::int64_t j, std::int64_t count) {
          Numbers sum = Numbers{};
          for (std::int64_t b = 0; b < blocks; ++b)
            sum = sum + numbers_at(partial + (s * blocks + b) * D + j, count);
          put_numbers(out + s * D + j, finish(s, sum), count);
        });
      });
}

} // namespace weft
