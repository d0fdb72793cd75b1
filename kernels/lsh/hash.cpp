#include "kernels/lsh/hash.hpp"
#include "kernels/common/instantiate.hpp"
#include "kernels/common/kokkos.hpp"
#include "kernels/common/numbers.hpp"
#include "kernels/random/philox.hpp"

namespace weft {

namespace {
static_assert(padded_hash_columns(1) % number_count == 0);
constexpr std::uint32_t hash_tensors = 0x4c534800u; ///< no dropout site and no weight counts up to here
#ifdef WEFT_CUDA
constexpr int side_by_side = 1;
#else
constexpr int side_by_side = 8; ///< positions whose sums do not wait for each other
#endif

WEFT_FUNCTION bool is_real(const std::uint32_t* seen, std::int64_t words, std::int64_t s, std::int64_t i) {
  return !seen || (seen[s * words + i / 32] >> (i % 32) & 1u) != 0;
}

/// Where the largest of |x| lies, in every lane: the largest of [x; -x] is there, and the sign says in which half.
#ifdef WEFT_CUDA
typedef int Places;
WEFT_FUNCTION float size_of(float x) { return x < 0 ? -x : x; }
WEFT_FUNCTION bool columns_below(std::int64_t) { return true; }
WEFT_FUNCTION int columns_from(int c) { return c; }
WEFT_FUNCTION int first_largest(float, int place) { return place; }
#else
typedef NumberMarks Places;
inline Numbers size_of(Numbers x) { return reinterpret_cast<Numbers>(reinterpret_cast<NumberMarks>(x) & 0x7fffffff); }
constexpr Places lane_numbers = {0, 1, 2, 3, 4, 5, 6, 7};
inline NumberMarks columns_below(std::int64_t n) { return lane_numbers < static_cast<std::int32_t>(n); }
inline Places columns_from(int c) { return lane_numbers + c; }
inline int first_largest(Numbers size, Places place) {
  Numbers most = size;
  for (const Places turn :
       {Places{4, 5, 6, 7, 0, 1, 2, 3}, Places{2, 3, 0, 1, 6, 7, 4, 5}, Places{1, 0, 3, 2, 5, 4, 7, 6}}) {
    const Numbers other = __builtin_shuffle(most, turn);
    most = other > most ? other : most;
  }
  place = size == most ? place : Places{} + 0x7fffffff;
  for (const Places turn :
       {Places{4, 5, 6, 7, 0, 1, 2, 3}, Places{2, 3, 0, 1, 6, 7, 4, 5}, Places{1, 0, 3, 2, 5, 4, 7, 6}}) {
    const Places other = __builtin_shuffle(place, turn);
    place = other < place ? other : place;
  }
  return place[0];
}
#endif
struct Largest {
  Numbers size = Numbers{} - 1.0f; ///< NaN is never larger
  Places place = {};
};
} // namespace

void lsh_projections(float* projections, const LshHash& hash, std::int64_t heads, std::int64_t width) {
  const std::int64_t columns = hash.columns(), R = hash.rounds;
  for_each(
      "weft::lsh_projections", heads * R * width, KOKKOS_LAMBDA(std::int64_t row) {
        const std::int64_t e = row % width, r = row / width % R, h = row / width / R;
        const std::uint32_t matrix = static_cast<std::uint32_t>((hash.one_for_all_heads ? 0 : h) << 16 | r);
        const RandomKey key{hash.seed, hash.moment ? hash.moment[0] : hash.step, matrix, hash_tensors + hash.layer};
        std::int64_t half = 0; // real columns so far
        float* to = projections + row * columns;
        for (int f = 0; f < hash.count; ++f) {
          const std::int64_t n = hash.factors[f] / 2, padded = padded_hash_columns(n);
          for (std::int64_t c = 0; c < padded; ++c) {
            float x = 0;
            if (c < n) { // Box-Muller; the same number whatever the padding is
              const Philox4 random = random4(key, static_cast<std::uint32_t>((half + c) * width + e));
              const float u = (static_cast<float>(random.x[0] >> 8) + 0.5f) * 0x1p-24f;
              const float angle = 6.28318531f * (static_cast<float>(random.x[1] >> 8) * 0x1p-24f);
              x = Kokkos::sqrt(-2.0f * Kokkos::log(u)) * Kokkos::cos(angle);
            }
            to[c] = x;
          }
          to += padded;
          half += n;
        }
      });
}

template <class T>
void lsh_buckets(int* buckets, const LshHash& hash, const AttentionShape& shape, const T* q, const float* projections,
                 const std::uint32_t* seen) {
  const std::int64_t N = shape.length, H = shape.heads, R = hash.rounds, E = shape.key_width, columns = hash.columns();
  const std::int64_t blocks = (N + side_by_side - 1) / side_by_side, words = (N + 31) / 32, all = hash.buckets(),
                     stride = shape.row_stride_qkv;
  for_each(
      "weft::lsh_buckets", shape.batch * H * R * blocks, KOKKOS_LAMBDA(std::int64_t task) {
        const std::int64_t i0 = task % blocks * side_by_side, r = task / blocks % R, h = task / blocks / R % H,
                           s = task / blocks / R / H;
        const int count = static_cast<int>(i0 + side_by_side < N ? side_by_side : N - i0);
        const float* matrix = projections + (h * R + r) * E * columns;
        const T* rows[side_by_side];
        std::int64_t bucket[side_by_side];
        for (int p = 0; p < side_by_side; ++p) {
          rows[p] = q + (s * N + i0 + (p < count ? p : 0)) * stride + h * E;
          bucket[p] = 0;
        }
        std::int64_t unit = 1;
        for (int f = 0; f < hash.count; ++f) {
          const std::int64_t half = hash.factors[f] / 2;
          Largest largest[side_by_side];
          for (std::int64_t c = 0; c < half; c += number_count) {
            Numbers sums[side_by_side] = {};
            for (std::int64_t e = 0; e < E; ++e) {
              const Numbers g = numbers_at(matrix + e * columns + c, number_count);
              for (int p = 0; p < side_by_side; ++p)
                sums[p] = sums[p] + load(rows[p][e]) * g;
            }
            const auto there = columns_below(half - c);
            const Places column = columns_from(static_cast<int>(c)), opposite = column + static_cast<int>(half);
            for (int p = 0; p < side_by_side; ++p) {
              const Numbers size = size_of(sums[p]);
              const Places place = sums[p] < 0.0f ? opposite : column;
              const auto more =
                  there & ((size > largest[p].size) | ((size == largest[p].size) & (place < largest[p].place)));
              largest[p].size = more ? size : largest[p].size;
              largest[p].place = more ? place : largest[p].place;
            }
          }
          for (int p = 0; p < side_by_side && half > 0; ++p)
            bucket[p] += unit * first_largest(largest[p].size, largest[p].place);
          unit *= hash.factors[f];
          matrix += padded_hash_columns(half);
        }
        for (int p = 0; p < count; ++p)
          buckets[((s * H + h) * R + r) * N + i0 + p] =
              static_cast<int>(is_real(seen, words, s, i0 + p) ? bucket[p] : all);
      });
}

std::int64_t lsh_sort_workspace(const AttentionShape& shape, std::int64_t rounds, std::int64_t buckets) {
  return shape.batch * shape.heads * rounds * (buckets + 1);
}

void lsh_sort(int* order, int* chunk_of, int* real, const int* buckets_of, const AttentionShape& shape,
              std::int64_t rounds, std::int64_t buckets, std::int64_t chunk, int* workspace) {
  const std::int64_t N = shape.length, per_sequence = shape.heads * rounds;
  for_each(
      "weft::lsh_sort", shape.batch * per_sequence, KOKKOS_LAMBDA(std::int64_t task) {
        const int* bucket = buckets_of + task * N;
        int* next = workspace + task * (buckets + 1); // slot of the next position of a bucket
        for (std::int64_t b = 0; b <= buckets; ++b)
          next[b] = 0;
        for (std::int64_t i = 0; i < N; ++i)
          ++next[bucket[i]];
        int begin = 0;
        for (std::int64_t b = 0; b <= buckets; ++b) {
          const int here = next[b];
          next[b] = begin;
          begin += here;
        }
        if (task % per_sequence == 0)
          real[task / per_sequence] = next[buckets];
        for (std::int64_t i = 0; i < N; ++i) {
          const int slot = next[bucket[i]]++;
          order[task * N + slot] = static_cast<int>(i);
          chunk_of[task * N + i] = slot / static_cast<int>(chunk);
        }
      });
}

#define WEFT_LSH_BUCKETS_OF(T)                                                                                         \
  template void lsh_buckets(int*, const LshHash&, const AttentionShape&, const T*, const float*, const std::uint32_t*)
WEFT_FOR_EACH_STORAGE(WEFT_LSH_BUCKETS_OF);

} // namespace weft
