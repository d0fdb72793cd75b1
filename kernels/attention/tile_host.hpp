// Tile primitives of a host core: packing into fp32 tiles, and products of packed tiles with the accumulators in
// registers. Vectors are GCC's (8 x fp32), so one source serves every host that has fused multiply-add.
// Included by kernels/attention/*_host.hpp only.
#pragma once
#include "kernels/attention/attention_tables.hpp"
#include <algorithm>
#include <bit>

namespace weft::detail::host {

typedef float Lanes __attribute__((vector_size(32)));
typedef std::int32_t Marks __attribute__((vector_size(32))); ///< per lane all bits or none
typedef std::uint32_t Bits __attribute__((vector_size(32)));
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

inline Marks bits_of(Lanes x) { return reinterpret_cast<Marks>(x); }
inline Lanes from_bits(Marks x) { return reinterpret_cast<Lanes>(x); }
inline Lanes select(Marks marks, Lanes yes, Lanes no) {
  return from_bits((bits_of(yes) & marks) | (bits_of(no) & ~marks));
}
/// NaN in x is dropped: such a lane is found by its exp.
inline Lanes larger(Lanes x, Lanes than) { return select(x > than, x, than); }
/// Lane v marked if bit v is set.
inline Marks marks_of(std::uint32_t bits) {
  constexpr Marks to_sign = {31, 30, 29, 28, 27, 26, 25, 24};
  const Marks all = Marks{} + static_cast<std::int32_t>(bits);
  return (all << to_sign) >> 31;
}

enum class Start { zero, add, scale }; ///< c = ..., c += ..., c = c * factor[column] + ...
enum class Left { by_row, by_depth };  ///< a[r * lda + k], a[k * lda + r]

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

struct Range {
  int begin = 0, end = 0;
};
/// From the first to past the last bit that is set; [0, 0) if none is.
inline Range range_of(std::uint32_t bits) {
  return bits == 0 ? Range{} : Range{std::countr_zero(bits), tile - std::countl_zero(bits)};
}

/// Which pairs of a 32 x 32 tile are seen. words null: all. For each half of the columns the rows outside `rows` see
/// nothing there, so no work is done on them.
struct Seen {
  const std::uint32_t* words = nullptr; ///< bit c of word r: pair (row r, column c)
  Range rows[2] = {{0, tile}, {0, tile}};

  Seen() = default;
  Seen(const std::uint32_t* by_row, const std::uint32_t* by_column) : words(by_row) {
    for (int side = 0; side < 2; ++side) {
      std::uint32_t any = 0;
      for (int c = 0; c < half; ++c)
        any |= by_column[side * half + c];
      rows[side] = range_of(any);
    }
  }
};

/// s[32, 32] = a[32, depth] b[depth, 32]; register blocks in which no pair is seen stay as they are.
inline void pair_products(float* s, const float* a, int lda, const float* b, int depth, const Seen& seen) {
  for (int side = 0; side < 2; ++side)
    for (int r = seen.rows[side].begin / step * step; r < seen.rows[side].end; r += step) {
      const std::uint32_t* w = seen.words ? seen.words + r : nullptr;
      if (!w || ((w[0] | w[1] | w[2] | w[3]) >> (side * half) & 0xffffu))
        block<step, 2, Start::zero, Left::by_row>(s + r * tile + side * half, tile, a + r * lda, lda, b + side * half,
                                                  tile, 0, depth, nullptr);
    }
}

/// c[rows, 32] (+)= sum over k < 32 of a[k, r] p[k, 32], where p is 0 at pairs that are not seen.
template <Start start>
inline void sum_over_pairs(float* c, int rows, const float* a, int lda, const float* p, const Seen& seen,
                           const float* factor = nullptr) {
  for (int side = 0; side < 2; ++side)
    multiply<start, Left::by_depth>(c + side * half, tile, rows, half, a, lda, p + side * half, tile,
                                    seen.rows[side].begin, seen.rows[side].end,
                                    factor ? factor + side * half : nullptr);
}

/// c[32, columns] = p[32, 32] b[32, columns], p as above.
inline void rows_times(float* c, int columns, const float* p, const float* b, const Seen& seen) {
  for (int r = 0; r < tile; r += step) {
    const std::uint32_t* w = seen.words ? seen.words + r : nullptr;
    const Range k = w ? range_of(w[0] | w[1] | w[2] | w[3]) : Range{0, tile};
    multiply<Start::zero, Left::by_row>(c + r * columns, columns, step, columns, p + r * tile, tile, b, columns,
                                        k.begin, k.end);
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

/// e^x for x <= 88, relative error below 2e-7; exactly 0 below -87 and at -infinity, NaN stays NaN. As fast_exp:
/// x = n ln 2 + r, a polynomial of degree 6 for e^r, and 2^n by the exponent bits.
inline Lanes softmax_exp(Lanes x) {
  const Lanes shifted = x * 1.44269504f + 12582912.0f; // 1.5 * 2^23: rounds to an integer in the low bits
  const Lanes n = shifted - 12582912.0f;
  const Lanes r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  Lanes p = r * 1.3888889e-3f + 8.3333337e-3f;
  p = p * r + 4.1666668e-2f;
  p = p * r + 1.6666667e-1f;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  // p lies in [0.7, 1.5) and n >= -126 wherever the result is kept, so only the exponent moves.
  const auto power = reinterpret_cast<Bits>(p) + (reinterpret_cast<Bits>(shifted) << 23);
  return from_bits(reinterpret_cast<Marks>(power) & ~(x < -87.0f));
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
