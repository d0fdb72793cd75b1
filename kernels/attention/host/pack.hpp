// Packing of the rows of a tile: into fp32 or into pairs of bf16, by row, by depth, and transposed.
// Included by kernels/attention/host/*.hpp only.
#pragma once
#include "kernels/attention/host/tile.hpp"

namespace weft::detail::WEFT_HOST {

/// The slots that hold a row; those without one (position -1) are the last.
WEFT_ALWAYS int row_count(const int* positions) {
  int count = 0;
  while (count < tile && positions[count] >= 0)
    ++count;
  return count;
}

/// The rows of a tile where they lie in memory; missing ones and those that are not live are null.
template <class T>
struct Rows {
  const T* row[tile];
  int count; ///< without the missing ones, which are the last
};
/// Bit r of `live` 0: row r is not to be read.
template <class T>
inline Rows<T> rows_at(const T* base, std::int64_t stride, const int* positions, std::uint32_t live = ~0u) {
  Rows<T> rows;
  rows.count = row_count(positions);
  for (int r = 0; r < tile; ++r)
    rows.row[r] = r < rows.count && (live >> r & 1u) ? base + positions[r] * stride : nullptr;
  return rows;
}

WEFT_ALWAYS Halves load_halves(const void* p) {
  Halves x;
  __builtin_memcpy(&x, p, sizeof x);
  return x;
}

WEFT_ALWAYS Lanes widen(const float* p) { return load_lanes(p); }
WEFT_ALWAYS Lanes widen(const bf16* p) {
  return from_bits(reinterpret_cast<Marks>(__builtin_convertvector(load_halves(p), Bits) << 16));
}
#if WEFT_LANES == 8
WEFT_ALWAYS Lanes widen(const fp16* p) { return _mm256_cvtph_ps(reinterpret_cast<__m128i>(load_halves(p))); }
#endif
WEFT_ALWAYS float widen_one(float x) { return x; }
WEFT_ALWAYS float widen_one(fp16 x) { return _cvtsh_ss(x.bits); }
WEFT_ALWAYS float widen_one(bf16 x) { return __builtin_bit_cast(float, static_cast<std::uint32_t>(x.bits) << 16); }

/// fp32 with the nearest bf16 (ties to even) in the upper half; the lower half is left over. No infinity becomes
/// anything else, and no NaN that arithmetic on bf16 inputs gives: their lower half is 0.
WEFT_ALWAYS Bits rounded(Lanes x) {
  const Bits bits = reinterpret_cast<Bits>(x);
  return bits + 0x7fffu + (bits >> 16 & 1u);
}
WEFT_ALWAYS std::uint32_t rounded_one(float x) {
  const auto bits = __builtin_bit_cast(std::uint32_t, x);
  if ((bits & 0x7fffffffu) > 0x7f800000u)
    return bits | 0x400000u;
  return bits + 0x7fffu + (bits >> 16 & 1u);
}
WEFT_ALWAYS void narrow_one(float* to, float x) { *to = x; }
WEFT_ALWAYS void narrow_one(bf16* to, float x) { to->bits = static_cast<std::uint16_t>(rounded_one(x) >> 16); }
WEFT_ALWAYS void narrow_one(fp16* to, float x) { to->bits = _cvtss_sh(x, _MM_FROUND_TO_NEAREST_INT); }
/// Lane by lane the pair of what `rounded` gave for two rows that follow each other.
WEFT_ALWAYS Bits paired(Bits first, Bits second) { return first >> 16 | (second & 0xffff0000u); }

/// to[r * ld + e] for e < ld = padded(width): the rows in fp32, zeros where there is nothing.
template <class T>
WEFT_APART inline void pack(float* to, int ld, const Rows<T>& rows, int width) {
  for (int r = 0; r < tile; ++r) {
    float* target = to + r * ld;
    const T* from = rows.row[r];
    int e = 0;
    if (from) {
      for (; e + lanes <= width; e += lanes)
        store_lanes(target + e, widen(from + e));
      for (; e < width; ++e)
        target[e] = widen_one(from[e]);
    }
    for (; e < ld; ++e)
      target[e] = 0;
  }
}

/// The same as pairs: to[r * ld + k] holds numbers 2 k and 2 k + 1 of row r, for k < ld = padded(width) / 2.
WEFT_APART inline void pack(Pair* to, int ld, const Rows<bf16>& rows, int width) {
  for (int r = 0; r < tile; ++r) {
    Pair* target = to + r * ld;
    const bf16* from = rows.row[r];
    int e = 0;
    if (from) {
      for (; e + lanes <= width; e += lanes)
        __builtin_memcpy(target + e / 2, from + e, sizeof(Halves));
      for (; e + 2 <= width; e += 2)
        target[e / 2].bits = from[e].bits | static_cast<std::uint32_t>(from[e + 1].bits) << 16;
      for (; e < width; e += 2)
        target[e / 2].bits = from[e].bits;
    }
    for (; e < 2 * ld; e += 2)
      target[e / 2].bits = 0;
  }
}

/// Rows packed as above with the depth across rows: fp32 rows are that already.
inline const float* by_depth(float*, const float* packed, int) { return packed; }
/// Pairs of neighbouring rows: to[k * ld + e] holds number e of rows 2 k and 2 k + 1, ld = padded(width).
WEFT_APART inline const Pair* by_depth(Pair* to, const Pair* packed, int ld) {
  for (int k = 0; k < tile / 2; ++k)
    for (int e = 0; e < ld; e += lanes) {
      const Pair* row = packed + k * ld + e / 2;
      const Bits first = __builtin_convertvector(load_halves(row), Bits);
      const Bits second = __builtin_convertvector(load_halves(row + ld / 2), Bits);
      store_lanes(to + k * ld + e, first | second << 16);
    }
  return to;
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

typedef float Eight __attribute__((vector_size(32)));
WEFT_ALWAYS Eight load_eight(const char* p) {
  Eight x;
  __builtin_memcpy(&x, p, sizeof x);
  return x;
}
WEFT_ALWAYS void store_eight(char* p, Eight x) { __builtin_memcpy(p, &x, sizeof x); }

/// to[c * ldto + r] = from[r * ldfrom + c] for a block of 8 x 8 of 32 bits each; multiplied by `factor` if `scaled`.
template <bool scaled>
WEFT_APART inline void transpose_block(void* to, int ldto, const void* from, int ldfrom, float factor) {
  typedef int Choice __attribute__((vector_size(32)));
  Eight x[8], y[8];
  for (int r = 0; r < 8; ++r) {
    const Eight row = load_eight(static_cast<const char*>(from) + r * ldfrom * 4);
    x[r] = scaled ? factor * row : row;
  }
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
  char* column = static_cast<char*>(to);
  for (int c = 0; c < 4; ++c) {
    store_eight(column + c * ldto * 4, __builtin_shuffle(x[c], x[c + 4], low4));
    store_eight(column + (c + 4) * ldto * 4, __builtin_shuffle(x[c], x[c + 4], high4));
  }
}

/// to[e * 32 + r] = factor from[r * ld + e], e < ld. Pairs are moved as they are.
inline void transpose_to_columns(float* to, const float* from, int ld, float factor) {
  for (int e = 0; e < ld; e += 8)
    for (int r = 0; r < tile; r += 8)
      transpose_block<true>(to + e * tile + r, tile, from + r * ld + e, ld, factor);
}
inline void transpose_to_columns(Pair* to, const Pair* from, int ld, float) {
  for (int e = 0; e < ld; e += 8)
    for (int r = 0; r < tile; r += 8)
      transpose_block<false>(to + e * tile + r, tile, from + r * ld + e, ld, 1.0f);
}

/// to[r * ld + e] = from[e * 32 + r], e < ld.
inline void transpose_to_rows(float* to, int ld, const float* from) {
  for (int e = 0; e < ld; e += 8)
    for (int r = 0; r < tile; r += 8)
      transpose_block<false>(to + r * ld + e, ld, from + e * tile + r, tile, 1.0f);
}

/// Whether any of the n packed elements is NaN or infinite.
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
inline bool has_non_finite(const Pair* x, int n) {
  Bits found = {};
  for (int i = 0; i < n; i += lanes) {
    const Bits bits = load_lanes(x + i), low = bits & 0x7f80u, high = bits & 0x7f800000u;
    found |= reinterpret_cast<Bits>(low == 0x7f80u) | reinterpret_cast<Bits>(high == 0x7f800000u);
  }
  std::uint32_t any = 0;
  for (int v = 0; v < lanes; ++v)
    any |= found[v];
  return any != 0;
}

/// Number e of packed row r, ld elements per row.
inline float packed_number(const float* rows, int ld, int r, int e) { return rows[r * ld + e]; }
inline float packed_number(const Pair* rows, int ld, int r, int e) {
  return __builtin_bit_cast(float, e % 2 ? rows[r * ld + e / 2].bits & 0xffff0000u : rows[r * ld + e / 2].bits << 16);
}
inline void clear_number(float* rows, int ld, int r, int e) { rows[r * ld + e] = 0; }
inline void clear_number(Pair* rows, int ld, int r, int e) {
  rows[r * ld + e / 2].bits &= e % 2 ? 0xffffu : 0xffff0000u;
}

} // namespace weft::detail::WEFT_HOST
