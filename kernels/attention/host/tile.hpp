// Tile primitives of a host core: products of packed tiles with the accumulators in registers.
//
// One source for every instruction set. The .cpp that includes it says for which one, and is compiled for that one:
//   WEFT_HOST   the namespace, so that no two instruction sets share a function,
//   WEFT_LANES  fp32 numbers of a vector register: 8 or 16,
//   WEFT_PAIRS  1: products of bf16 tensors take two bf16 numbers of the depth at a time (AVX512-BF16).
// Vectors are GCC's, which compiles them for any target. Everything is in namespace WEFT_HOST and nothing of the
// standard library is called: an inline function of std:: compiled here could be the copy that the linker keeps for
// all.
#pragma once
#include "kernels/attention/host/tile_functions.hpp"
#include <cstddef>
#include <immintrin.h>

namespace weft::detail::WEFT_HOST {

constexpr int lanes = WEFT_LANES;
typedef float Lanes __attribute__((vector_size(4 * lanes)));
typedef std::int32_t Marks __attribute__((vector_size(4 * lanes))); ///< per lane all bits or none
typedef std::uint32_t Bits __attribute__((vector_size(4 * lanes)));
typedef std::uint16_t Halves __attribute__((vector_size(2 * lanes)));
constexpr int tile = 32;
static_assert(query_tile == tile && key_tile == tile);
constexpr int half = 16;        ///< columns of a tile that have a range of seen rows of their own
constexpr int wide = 2 * lanes; ///< columns that one register block spans
/// Rows of a register block of two vectors and of one. 16 registers hold 8 sums, 32 hold 16.
constexpr int step = lanes == 8 ? 4 : 8, tall_step = lanes == 8 ? 4 : 16;
constexpr int max_width = attention_width_limit;
#define WEFT_ALWAYS inline __attribute__((always_inline))
/// For what has loops of its own: inlined into a tile function, they would run out of registers for their addresses.
#define WEFT_APART __attribute__((noinline))

/// Two bf16 numbers that follow each other in the depth of a product, the first in the lower half.
struct __attribute__((may_alias)) Pair {
  std::uint32_t bits;
};

/// What products of tensors of type T take: fp32, or pairs of bf16.
template <class T>
struct ElementOf {
  typedef float type;
};
#if WEFT_PAIRS
template <>
struct ElementOf<bf16> {
  typedef Pair type;
};
#endif
template <class Element>
constexpr int depth_per_element = 1;
template <>
constexpr int depth_per_element<Pair> = 2;
/// Elements that hold `depth` numbers.
template <class Element>
WEFT_ALWAYS int elements_of(int depth) {
  return (depth + depth_per_element<Element> - 1) / depth_per_element<Element>;
}

/// Widths are padded with zeros to whole vectors.
WEFT_ALWAYS int padded(std::int64_t width) { return static_cast<int>((width + lanes - 1) / lanes * lanes); }

WEFT_ALWAYS Lanes load_lanes(const float* p) {
  Lanes x;
  __builtin_memcpy(&x, p, sizeof x);
  return x;
}
WEFT_ALWAYS Bits load_lanes(const Pair* p) {
  Bits x;
  __builtin_memcpy(&x, p, sizeof x);
  return x;
}
WEFT_ALWAYS void store_lanes(float* p, Lanes x) { __builtin_memcpy(p, &x, sizeof x); }
WEFT_ALWAYS void store_lanes(Pair* p, Bits x) { __builtin_memcpy(p, &x, sizeof x); }

WEFT_ALWAYS void fill(float* to, int n, float x) {
  for (int i = 0; i < n; ++i)
    to[i] = x;
}

WEFT_ALWAYS Marks bits_of(Lanes x) { return reinterpret_cast<Marks>(x); }
WEFT_ALWAYS Lanes from_bits(Marks x) { return reinterpret_cast<Lanes>(x); }
WEFT_ALWAYS Lanes select(Marks marks, Lanes yes, Lanes no) {
  return from_bits((bits_of(yes) & marks) | (bits_of(no) & ~marks));
}
/// NaN in x is dropped: such a lane is found by its exp.
WEFT_ALWAYS Lanes larger(Lanes x, Lanes than) { return select(x > than, x, than); }
/// Lane v marked if bit v is set.
WEFT_ALWAYS Marks marks_of(std::uint32_t bits) {
#if WEFT_LANES == 8
  constexpr Marks to_sign = {31, 30, 29, 28, 27, 26, 25, 24};
#else
  constexpr Marks to_sign = {31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16};
#endif
  const Marks all = Marks{} + static_cast<std::int32_t>(bits);
  return (all << to_sign) >> 31;
}

/// sum + x right, in fp32.
WEFT_ALWAYS Lanes plus_product(Lanes sum, float x, Lanes right) { return sum + x * right; }

/// sum + (the products of both numbers of the pairs), in fp32: the second ones first, as AVX512-BF16 adds them.
WEFT_ALWAYS Lanes dot_pairs(Lanes sum, Bits left, Bits right) {
#if WEFT_PAIRS && defined(__AVX512BF16__)
  return _mm512_dpbf16_ps(sum, (__m512bh)left, (__m512bh)right);
#else
  const auto second = [](Bits x) __attribute__((always_inline)) {
    return from_bits(reinterpret_cast<Marks>(x & 0xffff0000u));
  };
  const auto first = [](Bits x) __attribute__((always_inline)) { return from_bits(reinterpret_cast<Marks>(x << 16)); };
  sum += second(left) * second(right);
  return sum + first(left) * first(right);
#endif
}
WEFT_ALWAYS Lanes plus_product(Lanes sum, Pair x, Bits right) { return dot_pairs(sum, Bits{} + x.bits, right); }

enum class Start { zero, add, scale }; ///< c = ..., c += ..., c = c * factor[column] + ...
enum class Left { by_row, by_depth };  ///< a[r * lda + k], a[k * lda + r]

/// c[r, lanes v ..] for R rows and V vectors: sum over elements k in [k0, k1) of a(r, k) b[k * ldb + column].
template <int R, int V, Start start, Left left, class Element>
WEFT_ALWAYS void block(float* c, int ldc, const Element* a, int lda, const Element* b, int ldb, int k0, int k1,
                       const float* factor) {
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
    decltype(load_lanes(b)) right[V];
    for (int v = 0; v < V; ++v)
      right[v] = load_lanes(b + k * ldb + v * lanes);
    for (int r = 0; r < R; ++r) {
      const Element x = left == Left::by_row ? a[r * lda + k] : a[k * lda + r];
      for (int v = 0; v < V; ++v)
        sum[r][v] = plus_product(sum[r][v], x, right[v]);
    }
  }
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < V; ++v)
      store_lanes(c + r * ldc + v * lanes, sum[r][v]);
}

/// c[rows, columns] over the elements [k0, k1) of the depth; columns a multiple of the lanes, rows of `step`, and where
/// columns is no multiple of `wide` of last_step.
template <Start start, Left left, int last_step, class Element>
inline void multiply(float* c, int ldc, int rows, int columns, const Element* a, int lda, const Element* b, int ldb,
                     int k0, int k1, const float* factor = nullptr) {
  int v = 0;
  for (; v + wide <= columns; v += wide)
    for (int r = 0; r < rows; r += step)
      block<step, 2, start, left>(c + r * ldc + v, ldc, left == Left::by_row ? a + r * lda : a + r, lda, b + v, ldb, k0,
                                  k1, factor ? factor + v : nullptr);
  if (v < columns)
    for (int r = 0; r < rows; r += last_step)
      block<last_step, 1, start, left>(c + r * ldc + v, ldc, left == Left::by_row ? a + r * lda : a + r, lda, b + v,
                                       ldb, k0, k1, factor ? factor + v : nullptr);
}

struct Range {
  int begin = 0, end = 0;
};
/// From the first to past the last bit that is set; [0, 0) if none is.
WEFT_ALWAYS Range range_of(std::uint32_t bits) {
  return bits == 0 ? Range{} : Range{__builtin_ctz(bits), tile - __builtin_clz(bits)};
}
/// The elements that hold the rows of the range, and the rows that these elements hold.
template <class Element>
WEFT_ALWAYS Range elements_of(Range rows) {
  return {rows.begin / depth_per_element<Element>, elements_of<Element>(rows.end)};
}
template <class Element>
WEFT_ALWAYS Range whole_elements(Range rows) {
  const Range k = elements_of<Element>(rows);
  return {k.begin * depth_per_element<Element>, k.end * depth_per_element<Element>};
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
  /// The columns that `n` rows from row r on see together.
  std::uint32_t any_of(int r, int n) const {
    std::uint32_t any = 0;
    for (int i = 0; i < n; ++i)
      any |= words[r + i];
    return any;
  }
};
/// Whole rows of a full tile fit into a register block, where its halves would leave registers unused.
constexpr bool whole_rows = wide > half;

/// s[32, 32] = a[32, depth] b[depth, 32], depth in elements; register blocks in which no pair is seen stay as they are.
template <class Element>
WEFT_APART inline void pair_products(float* s, const Element* a, int lda, const Element* b, int depth,
                                     const Seen& seen) {
  if (whole_rows && !seen.words) {
    for (int r = 0; r < tile; r += step)
      block<step, 2, Start::zero, Left::by_row>(s + r * tile, tile, a + r * lda, lda, b, tile, 0, depth, nullptr);
    return;
  }
  for (int side = 0; side < 2; ++side)
    for (int r = seen.rows[side].begin / tall_step * tall_step; r < seen.rows[side].end; r += tall_step)
      if (!seen.words || (seen.any_of(r, tall_step) >> (side * half) & 0xffffu))
        block<tall_step, half / lanes, Start::zero, Left::by_row>(s + r * tile + side * half, tile, a + r * lda, lda,
                                                                  b + side * half, tile, 0, depth, nullptr);
}

/// c[rows, 32] (+)= sum over k < 32 of a(k, r) p(k, 32), where p is 0 at pairs that are not seen. Elements hold
/// neighbours in k: a[k, r], p[k, 32].
template <Start start, class Element>
inline void sum_over_pairs(float* c, int rows, const Element* a, int lda, const Element* p, const Seen& seen,
                           const float* factor = nullptr) {
  if (whole_rows && !seen.words)
    return multiply<start, Left::by_depth, tall_step>(c, tile, rows, tile, a, lda, p, tile, 0,
                                                      elements_of<Element>(tile), factor);
  for (int side = 0; side < 2; ++side) {
    const Range k = elements_of<Element>(seen.rows[side]);
    multiply<start, Left::by_depth, tall_step>(c + side * half, tile, rows, half, a, lda, p + side * half, tile,
                                               k.begin, k.end, factor ? factor + side * half : nullptr);
  }
}

/// c[32, columns] = p(32, 32) b(32, columns), p as above. Elements hold neighbours among the columns of p and the rows
/// of b: p[32, k], b[k, columns].
template <class Element>
inline void rows_times(float* c, int columns, const Element* p, const Element* b, const Seen& seen) {
  constexpr int ldp = tile / depth_per_element<Element>;
  for (int r = 0; r < tile; r += step) {
    const Range k = elements_of<Element>(seen.words ? range_of(seen.any_of(r, step)) : Range{0, tile});
    multiply<Start::zero, Left::by_row, step>(c + r * columns, columns, step, columns, p + r * ldp, ldp, b, columns,
                                              k.begin, k.end);
  }
}

/// e^x for x <= 88, relative error below 2e-7; exactly 0 below -87 and at -infinity, NaN stays NaN. As fast_exp:
/// x = n ln 2 + r, a polynomial of degree 6 for e^r, and 2^n by the exponent bits.
WEFT_ALWAYS Lanes softmax_exp(Lanes x) {
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

} // namespace weft::detail::WEFT_HOST
