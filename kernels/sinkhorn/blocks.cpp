#include "kernels/sinkhorn/blocks.hpp"
#include "kernels/common/instantiate.hpp"
#include "kernels/common/tiles.hpp"
#include <algorithm>
#include <stdexcept>

namespace weft {

namespace {
KOKKOS_INLINE_FUNCTION bool real_row(const std::uint32_t* seen, std::int64_t length, std::int64_t s, std::int64_t i) {
  return i < length && (!seen || (seen[s * ((length + 31) / 32) + i / 32] >> (i % 32) & 1u) != 0);
}

/// Which number weighs source b for result a.
enum class By { p, transposed };

/// The most columns of a head that a task takes at a time: floats(columns) is what it keeps of them.
template <class Floats>
std::int64_t columns_of_task(std::int64_t width, const Floats& floats) {
  const auto limit = tiles::scratch_limit / static_cast<std::int64_t>(sizeof(float));
  for (std::int64_t parts = 1; parts <= width; ++parts)
    if (const std::int64_t columns = tiles::padded((width + parts - 1) / parts); floats(columns) <= limit)
      return columns;
  throw std::invalid_argument("sinkhorn: more blocks of a sequence than fit into the memory of a task; expected fewer, "
                              "longer blocks");
}

/// For every offset o in a block: result(a) = sum over the sources b in order of weight(a, b) source(b), all a at once.
/// Sources lie a block's rows apart, which may be the same place of a cache for all of them: they are gathered first.
/// `sources` and `results` say where row o of a block lies, or null.
template <class T, class Source, class Result>
void mix(const char* label, const BlockShape& shape, const HeadRows& lie, const float* p, By by, Into into,
         const Source& source, const Result& result) {
  const std::int64_t n = shape.blocks(), b = shape.block, H = lie.heads, E = lie.width;
  const std::int64_t part = columns_of_task(E, [n](std::int64_t columns) { return 2 * n * columns; });
  const std::int64_t parts = (E + part - 1) / part;
  const tiles::Left weights{nullptr, by == By::p ? n : 1, by == By::p ? 1 : n};
  const bool adds = into == Into::add;
  tiles::for_tasks(
      label, shape.sequences * H * b * parts, 2 * n * part,
      KOKKOS_LAMBDA(const tiles::Member& member, float* sources, std::int64_t task) {
        const std::int64_t e0 = task % parts * part, o = task / parts % b, h = task / (parts * b) % H,
                           s = task / (parts * b * H), width = E - e0 < part ? E - e0 : part;
        float* sums = sources + n * part;
        tiles::each_group(member, n, width, [&](std::int64_t k, std::int64_t e, std::int64_t count) {
          const T* row = source(s, k * b + o);
          put_numbers(sources + k * part + e, row ? numbers_at(row + h * E + e0 + e, count) : Numbers{}, number_count);
        });
        tiles::Left left = weights;
        left.at = p + (s * H + h) * n * n;
        tiles::product(member, sums, part, n, width, left, n, sources, part, false);
        tiles::each_group(member, n, width, [&](std::int64_t a, std::int64_t e, std::int64_t count) {
          T* to = result(s, a * b + o);
          if (!to)
            return;
          to += h * E + e0 + e;
          const Numbers x = numbers_at(sums + a * part + e, number_count);
          put_numbers(to, adds ? numbers_at(to, count) + x : x, count);
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
  // A task has `together` rows of dp: it goes through the offsets in a block, each one a product of two tiles.
  constexpr std::int64_t together = tiles::scratch_level == 0 ? 16 : 32;
  const std::int64_t N = shape.length, n = shape.blocks(), b = shape.block, H = lie.heads, E = lie.width;
  const std::int64_t groups = (n + together - 1) / together, ld = tiles::padded(n);
  const auto floats = [n, ld](std::int64_t columns) { return (together + n + ld) * columns + together * ld; };
  const std::int64_t part = columns_of_task(E, floats);
  const bool adds = into == Into::add;
  tiles::for_tasks(
      "weft::mix_blocks_backward_weights", shape.sequences * H * groups, floats(part),
      KOKKOS_LAMBDA(const tiles::Member& member, float* slopes, std::int64_t task) {
        const std::int64_t first = task % groups * together, h = task / groups % H, s = task / (groups * H);
        const std::int64_t here = n - first < together ? n - first : together;
        float *of_blocks = slopes + together * part, *turned = of_blocks + n * part, *sums = turned + part * ld;
        for (std::int64_t step = 0; step < b * ((E + part - 1) / part); ++step) {
          const std::int64_t o = step % b, e0 = step / b * part, width = E - e0 < part ? E - e0 : part;
          tiles::each_group(member, here, width, [&](std::int64_t i, std::int64_t e, std::int64_t count) {
            const T* from = dsorted + (s * lie.sorted_length + (first + i) * b + o) * lie.sorted_stride + h * E + e0;
            put_numbers(slopes + i * part + e, numbers_at(from + e, count), number_count);
          });
          tiles::each_group(member, n, width, [&](std::int64_t k, std::int64_t e, std::int64_t count) {
            const std::int64_t row = k * b + o;
            const T* from = rows + (s * lie.length + row) * lie.stride + h * E + e0;
            put_numbers(of_blocks + k * part + e, real_row(seen, N, s, row) ? numbers_at(from + e, count) : Numbers{},
                        number_count);
          });
          tiles::transpose(member, turned, ld, of_blocks, part, n, width);
          tiles::product(member, sums, ld, here, n, tiles::Left{slopes, part, 1}, width, turned, ld, step > 0);
        }
        tiles::each_group(member, here, n, [&](std::int64_t i, std::int64_t k, std::int64_t count) {
          float* to = dp + ((s * H + h) * n + first + i) * n + k;
          const Numbers x = numbers_at(sums + i * ld + k, number_count);
          put_numbers(to, adds ? numbers_at(to, count) + x : x, count);
        });
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
