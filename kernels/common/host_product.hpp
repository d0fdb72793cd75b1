// The product of two fp32 tiles on a host core (kernels/common/tiles.hpp). One source for every instruction set: the
// .cpp that includes it is compiled for one, and says which:
//   WEFT_PRODUCTS       the namespace, so that no two instruction sets share a function,
//   WEFT_PRODUCT_LANES  fp32 numbers of a vector register: 8 or 16.
// Every number of the result is a chain of fused multiply-adds over p in ascending order, so all versions have the same
// bits. Nothing of the standard library is called, for an inline function compiled here could be the copy that the
// linker keeps for all.
#pragma once
#include <cstdint>

namespace weft::tiles {

/// Which p a row i of a product sums over: all; p <= i; p >= i. What is left out is not read.
enum class Sum { all, up_to_row, from_row };

/// out[rows, columns] = (add: +=) sum over p < depth of a(i, p) b[p, columns], a(i, p) at a[i row + p step]. Rows of
/// out and b are ld_out and ld_b apart; their columns reach to the next multiple of 8.
struct HostProduct {
  float* out;
  std::int64_t ld_out, rows, columns;
  const float* a;
  std::int64_t row, step, depth;
  const float* b;
  std::int64_t ld_b;
  bool add;
  Sum sum;
};

namespace host_avx2 {
void product(const HostProduct& call);
}
namespace host_avx512 {
void product(const HostProduct& call);
}

} // namespace weft::tiles

#ifdef WEFT_PRODUCTS
#include <immintrin.h>

namespace weft::tiles::WEFT_PRODUCTS {

typedef float Wide __attribute__((vector_size(4 * WEFT_PRODUCT_LANES)));
typedef float Eight __attribute__((vector_size(32)));
#define WEFT_ALWAYS inline __attribute__((always_inline))

template <class V>
WEFT_ALWAYS V at(const float* p) {
  V x;
  __builtin_memcpy(&x, p, sizeof x);
  return x;
}
template <class V>
WEFT_ALWAYS void put(float* p, V x) {
  __builtin_memcpy(p, &x, sizeof x);
}

/// sum + left right, rounded once.
WEFT_ALWAYS Eight fused(Eight sum, float left, Eight right) {
  return _mm256_fmadd_ps(_mm256_set1_ps(left), right, sum);
}
#if WEFT_PRODUCT_LANES == 16
WEFT_ALWAYS Wide fused(Wide sum, float left, Wide right) {
#if defined(__AVX512F__)
  return _mm512_fmadd_ps(_mm512_set1_ps(left), right, sum);
#else // a test of the rest of this file
  for (int v = 0; v < WEFT_PRODUCT_LANES; ++v)
    sum[v] = __builtin_fmaf(left, right[v], sum[v]);
  return sum;
#endif
}
#endif

/// Rows first .. last of a block of sums get their term p.
template <class V, int rows, int groups>
WEFT_ALWAYS void add_term(V (&s)[rows][groups], int first, int last, const HostProduct& call, const float* left,
                          const float* b, std::int64_t p) {
  constexpr int lanes = sizeof(V) / sizeof(float);
  V right[groups];
#pragma GCC unroll 4
  for (int g = 0; g < groups; ++g)
    right[g] = at<V>(b + p * call.ld_b + g * lanes);
#pragma GCC unroll 16
  for (int r = 0; r < rows; ++r)
    if (first <= r && r <= last) {
      const float l = left[r * call.row + p * call.step];
#pragma GCC unroll 4
      for (int g = 0; g < groups; ++g)
        s[r][g] = fused(s[r][g], l, right[g]);
    }
}

/// Rows i0 .. i0 + rows - 1 and `groups` vectors of columns from j0 on, in registers.
template <class V, int rows, int groups>
inline void block(const HostProduct& call, std::int64_t i0, std::int64_t j0) {
  constexpr int lanes = sizeof(V) / sizeof(float);
  float* out = call.out + i0 * call.ld_out + j0;
  const float *left = call.a + i0 * call.row, *b = call.b + j0;
  V s[rows][groups];
#pragma GCC unroll 16
  for (int r = 0; r < rows; ++r)
#pragma GCC unroll 4
    for (int g = 0; g < groups; ++g)
      s[r][g] = call.add ? at<V>(out + r * call.ld_out + g * lanes) : V{};
  std::int64_t p = 0, end = call.depth;
  if (call.sum == Sum::from_row) { // p = i0 + q belongs to the rows 0 .. q
#pragma GCC unroll 16
    for (int q = 0; q < rows; ++q)
      if (i0 + q < call.depth)
        add_term(s, 0, q, call, left, b, i0 + q);
    p = i0 + rows;
  }
  if (call.sum == Sum::up_to_row)
    end = i0 < call.depth ? i0 : call.depth;
  for (; p < end; ++p)
    add_term(s, 0, rows - 1, call, left, b, p);
  if (call.sum == Sum::up_to_row)
#pragma GCC unroll 16
    for (int q = 0; q < rows; ++q)
      if (i0 + q < call.depth)
        add_term(s, q, rows - 1, call, left, b, i0 + q);
#pragma GCC unroll 16
  for (int r = 0; r < rows; ++r)
#pragma GCC unroll 4
    for (int g = 0; g < groups; ++g)
      put(out + r * call.ld_out + g * lanes, s[r][g]);
}

/// All rows of `groups` vectors of columns from j0 on. 16 registers hold 4 x 3 sums, 32 hold 8 x 3.
template <class V, int groups>
inline void strip(const HostProduct& call, std::int64_t j0) {
  constexpr int most = WEFT_PRODUCT_LANES == 16 ? 8 : 4;
  std::int64_t i = 0;
  for (; i + most <= call.rows; i += most)
    block<V, most, groups>(call, i, j0);
  if (most > 4 && call.rows - i >= 4) {
    block<V, 4, groups>(call, i, j0);
    i += 4;
  }
  const std::int64_t left = call.rows - i;
  if (left == 3)
    block<V, 3, groups>(call, i, j0);
  else if (left == 2)
    block<V, 2, groups>(call, i, j0);
  else if (left == 1)
    block<V, 1, groups>(call, i, j0);
}

void product(const HostProduct& call) {
  const std::int64_t end = (call.columns + 7) / 8 * 8;
  std::int64_t j = 0;
  while (end - j >= WEFT_PRODUCT_LANES) {
    const std::int64_t left = (end - j) / WEFT_PRODUCT_LANES;
    // Four vectors are twice two: three and one would leave the second strip waiting for its sums.
    const std::int64_t groups = left == 1 ? 1 : left == 2 || left == 4 ? 2 : 3;
    if (groups == 3)
      strip<Wide, 3>(call, j);
    else if (groups == 2)
      strip<Wide, 2>(call, j);
    else
      strip<Wide, 1>(call, j);
    j += groups * WEFT_PRODUCT_LANES;
  }
  if (j < end)
    strip<Eight, 1>(call, j);
}

} // namespace weft::tiles::WEFT_PRODUCTS
#endif
