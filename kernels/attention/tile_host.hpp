// Tile primitives of a host core: packing into fp32 tiles, and products of packed tiles with the accumulators in
// registers. Vectors are GCC's (8 x fp32), so one source serves every host that has fused multiply-add.
// Included by kernels/attention/*_host.hpp only.
#pragma once
#include "kernels/attention/attention_tables.hpp"
#include <algorithm>
#include <bit>

namespace weft::detail::host {

typedef float Lanes __attribute__((vector_size(32)));
constexpr int lanes = 8;
constexpr int tile = 32;
static_assert(query_tile == tile && key_tile == tile);
constexpr int half = 16; ///< columns that one register block spans
constexpr int step = 4;  ///< rows of a register block
constexpr int max_width = attention_width_limit;

/// Widths are padded with zeros to whole vectors.
inline int padded(std::int64_t width) { return static_cast<int>((width + lanes - 1) / lanes * lanes); }

inline Lanes load_lanes(const float* p) {
  Lanes x;
  __builtin_memcpy(&x, p, sizeof x);
  return x;
}
inline void store_lanes(float* p, Lanes x) { __builtin_memcpy(p, &x, sizeof x); }

enum class Start { zero, add, scale };   ///< c = ..., c += ..., c = c * factor[column] + ...
enum class Left { by_row, by_depth };    ///< a[r * lda + k], a[k * lda + r]

/// c[r, 8 v ..] for R rows and V vectors: sum over k in [k0, k1) of a(r, k) b[k * ldb + column].
template <int R, int V, Start start, Left left>
inline __attribute__((always_inline)) void block(float* c, int ldc, const float* a, int lda, const float* b, int ldb,
                                                 int k0, int k1, const float* factor) {
  Lanes sum[R][V];
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < V; ++v) {
      if constexpr (start == Start::zero)
        sum[r][v] = Lanes{};
      else if constexpr (start == Start::add)
        sum[r][v] = load_lanes(c + r * ldc + v * lanes);
      else
        sum[r][v] = load_lanes(c + r * ldc + v * lanes) * load_lanes(factor + v * lanes);
    }
  for (int k = k0; k < k1; ++k) {
    Lanes right[V];
    for (int v = 0; v < V; ++v)
      right[v] = load_lanes(b + k * ldb + v * lanes);
    for (int r = 0; r < R; ++r) {
      const float x = left == Left::by_row ? a[r * lda + k] : a[k * lda + r];
      for (int v = 0; v < V; ++v)
        sum[r][v] += x * right[v];
    }
  }
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < V; ++v)
      store_lanes(c + r * ldc + v * lanes, sum[r][v]);
}

/// c[rows, columns] over the depth [k0, k1); rows a multiple of 4, columns of 8.
template <Start start, Left left>
inline void multiply(float* c, int ldc, int rows, int columns, const float* a, int lda, const float* b, int ldb, int k0,
                     int k1, const float* factor = nullptr) {
  int v = 0;
  for (; v + half <= columns; v += half)
    for (int r = 0; r < rows; r += step)
      block<step, 2, start, left>(c + r * ldc + v, ldc, left == Left::by_row ? a + r * lda : a + r, lda, b + v, ldb, k0,
                                  k1, factor ? factor + v : nullptr);
  if (v < columns)
    for (int r = 0; r < rows; r += step)
      block<step, 1, start, left>(c + r * ldc + v, ldc, left == Left::by_row ? a + r * lda : a + r, lda, b + v, ldb, k0,
                                  k1, factor ? factor + v : nullptr);
}

/// The first and one past the last row that has a bit among `bits`; [0, 0) if none.
struct Range {
  int begin = 0, end = 0;
};
inline Range rows_with(const std::uint32_t* words, std::uint32_t bits) {
  Range range;
  for (int r = 0; r < tile; ++r)
    if (words[r] & bits) {
      if (range.end == 0)
        range.begin = r;
      range.end = r + 1;
    }
  return range;
}
constexpr std::uint32_t half_bits(int column) { return column == 0 ? 0xffffu : 0xffff0000u; }

/// s[32, 32] = a[32, depth] b[depth, 32]. With `words` (bit c of word r: pair (r, c) is wanted) only register blocks that
/// hold a wanted pair are computed; the others become 0.
inline void pair_products(float* s, const float* a, int lda, const float* b, int depth, const std::uint32_t* words) {
  for (int column = 0; column < tile; column += half)
    for (int r = 0; r < tile; r += step) {
      const std::uint32_t wanted =
          words ? (words[r] | words[r + 1] | words[r + 2] | words[r + 3]) & half_bits(column) : 1u;
      block<step, 2, Start::zero, Left::by_row>(s + r * tile + column, tile, a + r * lda, lda, b + column, tile, 0,
                                                wanted ? depth : 0, nullptr);
    }
}

/// c[rows, 32] (+)= sum over k < 32 of a[k, r] p[k, 32]; with `words` only the k that a half's columns use are visited
/// (p is 0 at the others).
template <Start start>
inline void sum_over_pairs(float* c, int rows, const float* a, int lda, const float* p, const std::uint32_t* words,
                           const float* factor = nullptr) {
  for (int column = 0; column < tile; column += half) {
    const Range k = words ? rows_with(words, half_bits(column)) : Range{0, tile};
    multiply<start, Left::by_depth>(c + column, tile, rows, half, a, lda, p + column, tile, k.begin, k.end,
                                    factor ? factor + column : nullptr);
  }
}

/// The rows of a tile where they lie in memory; missing ones are null.
template <class T>
struct Rows {
  const T* row[tile];
  int count;
};
template <class T>
inline Rows<T> rows_at(const T* base, std::int64_t stride, const int* positions) {
  Rows<T> rows;
  rows.count = row_count(positions);
  for (int r = 0; r < tile; ++r)
    rows.row[r] = r < rows.count ? base + positions[r] * stride : nullptr;
  return rows;
}

inline Lanes widen(const float* p) { return load_lanes(p); }
inline Lanes widen(const bf16* p) {
  typedef std::uint16_t Narrow __attribute__((vector_size(16)));
  typedef std::uint32_t Wide __attribute__((vector_size(32)));
  Narrow bits;
  __builtin_memcpy(&bits, p, sizeof bits);
  const Wide wide = __builtin_convertvector(bits, Wide) << 16;
  Lanes x;
  __builtin_memcpy(&x, &wide, sizeof x);
  return x;
}

/// to[r * ld + e] for e < ld = padded(width): the rows in fp32, zeros where there is nothing.
template <class T>
inline void pack(float* to, int ld, const Rows<T>& rows, int width) {
  for (int r = 0; r < tile; ++r) {
    float* target = to + r * ld;
    const T* from = rows.row[r];
    int e = 0;
    if (r < rows.count) {
      for (; e + lanes <= width; e += lanes)
        store_lanes(target + e, widen(from + e));
      for (; e < width; ++e)
        target[e] = load(from[e]);
    }
    for (; e < ld; ++e)
      target[e] = 0;
  }
}

/// Asks for the rows of the tile that comes next: they are far apart, which defeats the processor's own guess.
template <class T>
inline void prefetch(const T* base, std::int64_t stride, const int* positions, int width) {
  for (int r = 0; r < tile; ++r)
    if (positions[r] >= 0) {
      const char* row = reinterpret_cast<const char*>(base + positions[r] * stride);
      for (std::size_t byte = 0; byte < width * sizeof(T); byte += 64)
        __builtin_prefetch(row + byte);
    }
}

/// e^x for x <= 88, as fast_exp but without its upper bound: relative error below 2e-7, exactly 0 below -87 and at
/// -infinity, NaN stays NaN.
inline float softmax_exp(float x) {
  const float kept = x < -87.0f ? -87.0f : x;
  const float shifted = kept * 1.44269504f + 12582912.0f; // 1.5 * 2^23: rounds to an integer in the low bits
  const float n = shifted - 12582912.0f;
  const float r = (kept - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.3888889e-3f;
  p = p * r + 8.3333337e-3f;
  p = p * r + 4.1666668e-2f;
  p = p * r + 1.6666667e-1f;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  std::uint32_t bits, result;
  __builtin_memcpy(&bits, &shifted, sizeof bits);
  __builtin_memcpy(&result, &p, sizeof result);
  result += bits << 23; // p * 2^n: p lies in [0.7, 1.5) and n >= -126, so only the exponent moves
  float power;
  __builtin_memcpy(&power, &result, sizeof power);
  return x < -87.0f ? 0.0f : power;
}

/// to[c * ldto + r] = factor from[r * ldfrom + c] for a block of 8 x 8.
inline void transpose_block(float* to, int ldto, const float* from, int ldfrom, float factor) {
  using Choice = int __attribute__((vector_size(32)));
  Lanes x[8], y[8];
  for (int r = 0; r < 8; ++r)
    x[r] = factor * load_lanes(from + r * ldfrom);
  constexpr Choice low = {0, 8, 1, 9, 4, 12, 5, 13}, high = {2, 10, 3, 11, 6, 14, 7, 15};
  constexpr Choice low2 = {0, 1, 8, 9, 4, 5, 12, 13}, high2 = {2, 3, 10, 11, 6, 7, 14, 15};
  constexpr Choice low4 = {0, 1, 2, 3, 8, 9, 10, 11}, high4 = {4, 5, 6, 7, 12, 13, 14, 15};
  for (int r = 0; r < 8; r += 2) {
    y[r] = __builtin_shuffle(x[r], x[r + 1], low);
    y[r + 1] = __builtin_shuffle(x[r], x[r + 1], high);
  }
  for (int r = 0; r < 8; r += 4) {
    x[r] = __builtin_shuffle(y[r], y[r + 2], low2);
    x[r + 1] = __builtin_shuffle(y[r], y[r + 2], high2);
    x[r + 2] = __builtin_shuffle(y[r + 1], y[r + 3], low2);
    x[r + 3] = __builtin_shuffle(y[r + 1], y[r + 3], high2);
  }
  for (int r = 0; r < 4; ++r) {
    store_lanes(to + r * ldto, __builtin_shuffle(x[r], x[r + 4], low4));
    store_lanes(to + (r + 4) * ldto, __builtin_shuffle(x[r], x[r + 4], high4));
  }
}

/// to[e * 32 + r] = factor from[r * ld + e], e < ld.
inline void transpose_to_columns(float* to, const float* from, int ld, float factor) {
  for (int e = 0; e < ld; e += lanes)
    for (int r = 0; r < tile; r += lanes)
      transpose_block(to + e * tile + r, tile, from + r * ld + e, ld, factor);
}

/// to[r * ld + e] = from[e * 32 + r], e < ld.
inline void transpose_to_rows(float* to, int ld, const float* from) {
  for (int e = 0; e < ld; e += lanes)
    for (int r = 0; r < tile; r += lanes)
      transpose_block(to + r * ld + e, ld, from + e * tile + r, tile, 1.0f);
}

/// Whether any of the packed values is NaN or infinite.
inline bool has_non_finite(const float* x, int n) {
  float zero = 0;
  Lanes sums[4] = {};
  for (int i = 0; i < n; i += 4 * lanes)
    for (int v = 0; v < 4; ++v)
      sums[v] += 0.0f * load_lanes(x + i + v * lanes);
  const Lanes sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  for (int v = 0; v < lanes; ++v)
    zero += sum[v];
  return !(zero == 0);
}

} // namespace weft::detail::host
