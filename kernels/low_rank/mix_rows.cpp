#include "kernels/low_rank/mix_rows.hpp"
#include "kernels/common/instantiate.hpp"
#include "kernels/common/kokkos.hpp"
#include "kernels/common/numbers.hpp"

namespace weft {

namespace {
// A block of results that lies in registers: so many rows by two vectors of columns, or by two columns of a product
// along the width. Rows past the last one compute the last one again and are not stored.
constexpr int tall = 4, wide = 2;
constexpr std::int64_t block_width = wide * number_count;

constexpr std::int64_t blocks_of(std::int64_t n, std::int64_t size) { return (n + size - 1) / size; }
KOKKOS_INLINE_FUNCTION std::int64_t least(std::int64_t a, std::int64_t b) { return a < b ? a : b; }

KOKKOS_INLINE_FUNCTION bool is_seen(const std::uint32_t* seen, std::int64_t words, std::int64_t b, std::int64_t i) {
  return !seen || (seen[b * words + i / 32] >> (i % 32) & 1u) != 0;
}

/// Numbers c .. of a row of `width`; zeros behind its end.
template <class T>
KOKKOS_INLINE_FUNCTION Numbers some_of(const T* row, std::int64_t c, std::int64_t width) {
  return c >= width ? Numbers{} : numbers_at(row + c, least(number_count, width - c));
}
template <class T>
KOKKOS_INLINE_FUNCTION void put_some(T* row, Numbers x, std::int64_t c, std::int64_t width) {
  if (c < width)
    put_numbers(row + c, x, least(number_count, width - c));
}
} // namespace

template <class T>
void mix_rows_forward(const MixShape& s, T* p, const float* e, const T* x, const std::uint32_t* seen) {
  const std::int64_t N = s.length, words = blocks_of(N, 32);
  const std::int64_t across = blocks_of(s.width, block_width), down = blocks_of(s.rank, tall);
  for_each(
      "weft::mix_rows_forward", s.sequences * across * down, KOKKOS_LAMBDA(std::int64_t task) {
        const std::int64_t b = task / down / across, c0 = task / down % across * block_width, j0 = task % down * tall;
        std::int64_t column[tall];
        for (int r = 0; r < tall; ++r)
          column[r] = least(j0 + r, s.rank - 1);
        Numbers sums[tall][wide] = {};
        for (std::int64_t i = 0; i < N; ++i) {
          if (!is_seen(seen, words, b, i))
            continue;
          const T* row = x + (b * N + i) * s.row_stride;
          const float* of_row = e + i * s.rank;
          Numbers right[wide];
          for (int v = 0; v < wide; ++v)
            right[v] = some_of(row, c0 + v * number_count, s.width);
          for (int r = 0; r < tall; ++r)
            for (int v = 0; v < wide; ++v)
              sums[r][v] = sums[r][v] + of_row[column[r]] * right[v];
        }
        for (int r = 0; r < tall && j0 + r < s.rank; ++r)
          for (int v = 0; v < wide; ++v)
            put_some(p + (b * s.rank + j0 + r) * s.mixed_stride, sums[r][v], c0 + v * number_count, s.width);
      });
}

template <class T>
void mix_rows_backward_rows(const MixShape& s, T* dx, const float* e, const T* dp, const std::uint32_t* seen) {
  const std::int64_t N = s.length, words = blocks_of(N, 32);
  const std::int64_t across = blocks_of(s.width, block_width), down = blocks_of(N, tall);
  for_each(
      "weft::mix_rows_backward_rows", s.sequences * down * across, KOKKOS_LAMBDA(std::int64_t task) {
        const std::int64_t b = task / across / down, i0 = task / across % down * tall, c0 = task % across * block_width;
        const float* of_row[tall];
        for (int r = 0; r < tall; ++r)
          of_row[r] = e + least(i0 + r, N - 1) * s.rank;
        Numbers sums[tall][wide] = {};
        for (std::int64_t j = 0; j < s.rank; ++j) {
          const T* row = dp + (b * s.rank + j) * s.mixed_stride;
          Numbers right[wide];
          for (int v = 0; v < wide; ++v)
            right[v] = some_of(row, c0 + v * number_count, s.width);
          for (int r = 0; r < tall; ++r)
            for (int v = 0; v < wide; ++v)
              sums[r][v] = sums[r][v] + of_row[r][j] * right[v];
        }
        for (int r = 0; r < tall && i0 + r < N; ++r)
          for (int v = 0; v < wide; ++v)
            put_some(dx + (b * N + i0 + r) * s.row_stride, is_seen(seen, words, b, i0 + r) ? sums[r][v] : Numbers{},
                     c0 + v * number_count, s.width);
      });
}

template <class T>
void mix_rows_backward_matrix(const MixShape& s, float* de, const T* dp, const T* x, const std::uint32_t* seen,
                              Into into) {
  const std::int64_t N = s.length, words = blocks_of(N, 32);
  const std::int64_t across = blocks_of(s.rank, wide), down = blocks_of(N, tall);
  const bool add = into == Into::add;
  for_each(
      "weft::mix_rows_backward_matrix", down * across, KOKKOS_LAMBDA(std::int64_t task) {
        const std::int64_t i0 = task / across * tall, j0 = task % across * wide;
        Numbers sums[tall][wide] = {};
        for (std::int64_t b = 0; b < s.sequences; ++b) {
          const T *left[tall], *right[wide];
          bool live[tall];
          for (int r = 0; r < tall; ++r) {
            live[r] = i0 + r < N && is_seen(seen, words, b, i0 + r);
            left[r] = x + (b * N + least(i0 + r, N - 1)) * s.row_stride;
          }
          for (int v = 0; v < wide; ++v)
            right[v] = dp + (b * s.rank + least(j0 + v, s.rank - 1)) * s.mixed_stride;
          for_numbers(0, s.width, [&](std::int64_t c, std::int64_t count) {
            Numbers mixed[wide];
            for (int v = 0; v < wide; ++v)
              mixed[v] = numbers_at(right[v] + c, count);
            for (int r = 0; r < tall; ++r) {
              const Numbers row = live[r] ? numbers_at(left[r] + c, count) : Numbers{};
              for (int v = 0; v < wide; ++v)
                sums[r][v] = sums[r][v] + row * mixed[v];
            }
          });
        }
        for (int r = 0; r < tall && i0 + r < N; ++r)
          for (int v = 0; v < wide && j0 + v < s.rank; ++v) {
            float* to = de + (i0 + r) * s.rank + j0 + v;
            *to = (add ? *to : 0.0f) + total_of(sums[r][v]);
          }
      });
}

#define WEFT_MIX_ROWS_OF(T)                                                                                            \
  template void mix_rows_forward(const MixShape&, T*, const float*, const T*, const std::uint32_t*);                   \
  template void mix_rows_backward_rows(const MixShape&, T*, const float*, const T*, const std::uint32_t*);             \
  template void mix_rows_backward_matrix(const MixShape&, float*, const T*, const T*, const std::uint32_t*, Into)
WEFT_FOR_EACH_STORAGE(WEFT_MIX_ROWS_OF);

} // namespace weft
