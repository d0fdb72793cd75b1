#include "kernels/sinkhorn/blocks.hpp"
#include "kernels/common/instantiate.hpp"
#include "kernels/common/kokkos.hpp"
#include "kernels/common/numbers.hpp"

namespace weft {

namespace {
KOKKOS_INLINE_FUNCTION bool real_row(const std::uint32_t* seen, std::int64_t length, std::int64_t s, std::int64_t i) {
  return i < length && (!seen || (seen[s * ((length + 31) / 32) + i / 32] >> (i % 32) & 1u) != 0);
}

/// Which number weighs source b for result a.
enum class By { p, transposed };

/// For every offset o in a block, results a of a group of four: result(a) = sum over the sources b in order of
/// weight(a, b) source(b), in strips of columns. `sources` and `results` say where row o of a block lies, or null.
template <class T, class Source, class Result>
void mix(const char* label, const BlockShape& shape, const HeadRows& lie, const float* p, By by, Into into,
         const Source& source, const Result& result) {
  constexpr std::int64_t together = 4;
  const std::int64_t n = shape.blocks(), b = shape.block, H = lie.heads, E = lie.width;
  const std::int64_t groups = (n + together - 1) / together;
  const std::int64_t across = by == By::p ? n : 1, along = by == By::p ? 1 : n; // strides of a and b in p
  const bool adds = into == Into::add;
  for_each(
      label, shape.sequences * H * b * groups, KOKKOS_LAMBDA(std::int64_t task) {
        const std::int64_t group = task % groups, o = task / groups % b, h = task / (groups * b) % H,
                           s = task / (groups * b * H), first = group * together;
        const std::int64_t here = n - first < together ? n - first : together;
        const float* weights = p + (s * H + h) * n * n;
        for_numbers(0, E, [&](std::int64_t e, std::int64_t count) {
          Numbers sums[together] = {};
          for (std::int64_t k = 0; k < n; ++k) {
            const T* row = source(s, k * b + o);
            if (!row)
              continue;
            const Numbers x = numbers_at(row + h * E + e, count);
            for (std::int64_t a = 0; a < here; ++a)
              sums[a] = sums[a] + weights[(first + a) * across + k * along] * x;
          }
          for (std::int64_t a = 0; a < here; ++a) {
            T* to = result(s, (first + a) * b + o);
            if (to)
              put_numbers(to + h * E + e, adds ? numbers_at(to + h * E + e, count) + sums[a] : sums[a], count);
          }
        });
      });
}
} // namespace

void block_flags(const BlockShape& shape, unsigned char* alive, unsigned char* places, const std::uint32_t* seen) {
  const std::int64_t N = shape.length, b = shape.block, n = shape.blocks();
  for_each(
      "weft::block_flags", shape.sequences * (n + b), KOKKOS_LAMBDA(std::int64_t task) {
        const std::int64_t s = task / (n + b), one = task % (n + b);
        const bool block = one < n; // a block's rows lie side by side, a place's b apart
        const std::int64_t from = block ? one * b : one - n, step = block ? 1 : b, count = block ? b : n;
        bool any = false;
        for (std::int64_t i = 0; i < count && !any; ++i)
          any = real_row(seen, N, s, from + i * step);
        (block ? alive[s * n + one] : places[s * b + one - n]) = any ? 1 : 0;
      });
}

void sorted_block_bits(const BlockShape& shape, std::int64_t begin, std::uint32_t* bits, const std::uint32_t* seen,
                       const unsigned char* alive, const unsigned char* places) {
  const std::int64_t N = shape.length, b = shape.block, n = shape.blocks(), end = begin + shape.whole();
  const std::int64_t words = (end + 31) / 32;
  for_each(
      "weft::sorted_block_bits", shape.sequences * words, KOKKOS_LAMBDA(std::int64_t task) {
        const std::int64_t s = task / words, first = task % words * 32;
        std::uint32_t word = 0;
        for (std::int64_t i = first; i < first + 32 && i < end; ++i) {
          const std::int64_t at = i - begin;
          const bool key = at < 0 ? real_row(seen, N, s, i) : alive[s * n + at / b] != 0 && places[s * b + at % b] != 0;
          word |= key ? 1u << (i - first) : 0u;
        }
        bits[task] = word;
      });
}

template <class T>
void block_sums_forward(const BlockShape& shape, std::int64_t width, T* sums, const T* x, const std::uint32_t* seen) {
  const std::int64_t N = shape.length, b = shape.block, n = shape.blocks(), D = width;
  const std::int64_t strips = (D + strip_width - 1) / strip_width;
  for_each(
      "weft::block_sums_forward", shape.sequences * n * strips, KOKKOS_LAMBDA(std::int64_t task) {
        const std::int64_t j0 = task % strips * strip_width, j1 = j0 + strip_width < D ? j0 + strip_width : D;
        const std::int64_t block = task / strips, s = block / n, k = block % n;
        for_numbers(j0, j1, [&](std::int64_t j, std::int64_t count) {
          Numbers sum = Numbers{};
          for (std::int64_t i = k * b; i < (k + 1) * b && i < N; ++i)
            if (real_row(seen, N, s, i))
              sum = sum + numbers_at(x + (s * N + i) * D + j, count);
          put_numbers(sums + block * D + j, sum, count);
        });
      });
}

template <class T>
void block_sums_backward(const BlockShape& shape, std::int64_t width, T* dx, const T* dsums,
                         const std::uint32_t* seen) {
  const std::int64_t N = shape.length, b = shape.block, n = shape.blocks(), D = width;
  const std::int64_t strips = (D + strip_width - 1) / strip_width;
  for_each(
      "weft::block_sums_backward", shape.sequences * N * strips, KOKKOS_LAMBDA(std::int64_t task) {
        const std::int64_t j0 = task % strips * strip_width, j1 = j0 + strip_width < D ? j0 + strip_width : D;
        const std::int64_t row = task / strips, s = row / N, i = row % N;
        if (!real_row(seen, N, s, i))
          return;
        T* to = dx + row * D;
        const T* from = dsums + (s * n + i / b) * D;
        for_numbers(j0, j1, [&](std::int64_t j, std::int64_t count) {
          put_numbers(to + j, numbers_at(to + j, count) + numbers_at(from + j, count), count);
        });
      });
}

template <class T>
void mix_blocks_forward(const BlockShape& shape, const HeadRows& lie, T* sorted, const T* rows, const float* p,
                        const std::uint32_t* seen) {
  const std::int64_t N = shape.length;
  mix<T>(
      "weft::mix_blocks_forward", shape, lie, p, By::p, Into::overwrite,
      KOKKOS_LAMBDA(std::int64_t s, std::int64_t i)->const T* {
        return real_row(seen, N, s, i) ? rows + (s * lie.length + i) * lie.stride : nullptr;
      },
      KOKKOS_LAMBDA(std::int64_t s, std::int64_t i) {
        return sorted + (s * lie.sorted_length + i) * lie.sorted_stride;
      });
}

template <class T>
void mix_blocks_backward_rows(const BlockShape& shape, const HeadRows& lie, T* drows, const T* dsorted, const float* p,
                              const std::uint32_t* seen) {
  const std::int64_t N = shape.length;
  mix<T>(
      "weft::mix_blocks_backward_rows", shape, lie, p, By::transposed, Into::add,
      KOKKOS_LAMBDA(std::int64_t s, std::int64_t i)->const T* {
        return dsorted + (s * lie.sorted_length + i) * lie.sorted_stride;
      },
      KOKKOS_LAMBDA(std::int64_t s, std::int64_t i)->T* {
        return real_row(seen, N, s, i) ? drows + (s * lie.length + i) * lie.stride : nullptr;
      });
}

template <class T>
void mix_blocks_backward_weights(const BlockShape& shape, const HeadRows& lie, float* dp, const T* dsorted,
                                 const T* rows, const std::uint32_t* seen, Into into) {
  constexpr std::int64_t together = 4;
  const std::int64_t N = shape.length, n = shape.blocks(), b = shape.block, H = lie.heads, E = lie.width;
  const std::int64_t groups = (n + together - 1) / together;
  const bool adds = into == Into::add;
  for_each(
      "weft::mix_blocks_backward_weights", shape.sequences * H * n * groups, KOKKOS_LAMBDA(std::int64_t task) {
        const std::int64_t first = task % groups * together, i = task / groups % n, h = task / (groups * n) % H,
                           s = task / (groups * n * H);
        const std::int64_t here = n - first < together ? n - first : together;
        Numbers sums[together] = {};
        for (std::int64_t o = 0; o < b; ++o) {
          const T* slope = dsorted + (s * lie.sorted_length + i * b + o) * lie.sorted_stride + h * E;
          for (std::int64_t a = 0; a < here; ++a) {
            const std::int64_t row = (first + a) * b + o;
            if (!real_row(seen, N, s, row))
              continue;
            const T* x = rows + (s * lie.length + row) * lie.stride + h * E;
            for_numbers(0, E, [&](std::int64_t e, std::int64_t count) {
              sums[a] = sums[a] + numbers_at(slope + e, count) * numbers_at(x + e, count);
            });
          }
        }
        float* to = dp + ((s * H + h) * n + i) * n + first;
        for (std::int64_t a = 0; a < here; ++a)
          to[a] = adds ? to[a] + total_of(sums[a]) : total_of(sums[a]);
      });
}

#define WEFT_BLOCKS_OF(T)                                                                                              \
  template void block_sums_forward(const BlockShape&, std::int64_t, T*, const T*, const std::uint32_t*);               \
  template void block_sums_backward(const BlockShape&, std::int64_t, T*, const T*, const std::uint32_t*);              \
  template void mix_blocks_forward(const BlockShape&, const HeadRows&, T*, const T*, const float*,                     \
                                   const std::uint32_t*);                                                              \
  template void mix_blocks_backward_rows(const BlockShape&, const HeadRows&, T*, const T*, const float*,               \
                                         const std::uint32_t*);                                                        \
  template void mix_blocks_backward_weights(const BlockShape&, const HeadRows&, float*, const T*, const T*,            \
                                            const std::uint32_t*, Into)
WEFT_FOR_EACH_STORAGE(WEFT_BLOCKS_OF);

} // namespace weft
