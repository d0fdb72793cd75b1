// Eight fp32 numbers side by side: one vector register of a host core, eight registers of a GPU thread. For kernels
// whose inner loop is long and whose order of sums is part of the result.
#pragma once
#include "kernels/common/types.hpp"
#if defined(__AVX2__) && !defined(__CUDACC__)
#include <immintrin.h>
#endif

namespace weft {

constexpr int lane_count = 8;

/// The smallest multiple of the lanes that holds `width` numbers.
constexpr std::int64_t padded_to_lanes(std::int64_t width) {
  return (width + lane_count - 1) / lane_count * lane_count;
}

#if defined(__CUDACC__)
struct Lanes {
  float x[lane_count];
  WEFT_FUNCTION float operator[](int v) const { return x[v]; }
};
WEFT_FUNCTION Lanes operator+(Lanes a, Lanes b) {
  for (int v = 0; v < lane_count; ++v)
    a.x[v] += b.x[v];
  return a;
}
WEFT_FUNCTION Lanes operator*(float a, Lanes b) {
  for (int v = 0; v < lane_count; ++v)
    b.x[v] *= a;
  return b;
}
WEFT_FUNCTION Lanes operator*(Lanes a, Lanes b) {
  for (int v = 0; v < lane_count; ++v)
    a.x[v] *= b.x[v];
  return a;
}
#else
typedef float Lanes __attribute__((vector_size(32)));
#endif

WEFT_FUNCTION Lanes lanes_at(const float* p) {
  Lanes x;
  memcpy(&x, p, sizeof x);
  return x;
}

WEFT_FUNCTION Lanes lanes_at(const bf16* p) {
  Lanes x;
#if defined(__CUDACC__)
  for (int v = 0; v < lane_count; ++v)
    x.x[v] = load(p[v]);
#else
  typedef std::uint32_t Wide __attribute__((vector_size(32)));
#if defined(__AVX2__)
  const Wide wide = reinterpret_cast<Wide>(_mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
#else
  typedef std::uint16_t Narrow __attribute__((vector_size(16)));
  Narrow bits;
  memcpy(&bits, p, sizeof bits);
  const Wide wide = __builtin_convertvector(bits, Wide);
#endif
  x = reinterpret_cast<Lanes>(wide << 16);
#endif
  return x;
}

WEFT_FUNCTION Lanes lanes_at(const fp16* p) {
#if defined(__F16C__) && !defined(__CUDACC__)
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
#else
  float x[lane_count];
  for (int v = 0; v < lane_count; ++v)
    x[v] = load(p[v]);
  return lanes_at(x);
#endif
}

WEFT_FUNCTION void put_lanes(float* p, Lanes x) { memcpy(p, &x, sizeof x); }

/// Lane v of the result is the sum of x[v], for eight of them at once: neighbours first, then pairs, then halves.
WEFT_FUNCTION Lanes sums_of(const Lanes* x) {
#if defined(__CUDACC__)
  Lanes out;
  for (int v = 0; v < lane_count; ++v)
    out.x[v] = ((x[v][0] + x[v][1]) + (x[v][2] + x[v][3])) + ((x[v][4] + x[v][5]) + (x[v][6] + x[v][7]));
  return out;
#else
  typedef std::int32_t Choice __attribute__((vector_size(32)));
  constexpr Choice even = {0, 8, 2, 10, 4, 12, 6, 14}, odd = {1, 9, 3, 11, 5, 13, 7, 15};
  constexpr Choice first = {0, 1, 8, 9, 4, 5, 12, 13}, second = {2, 3, 10, 11, 6, 7, 14, 15};
  constexpr Choice low = {0, 1, 2, 3, 8, 9, 10, 11}, high = {4, 5, 6, 7, 12, 13, 14, 15};
  Lanes twos[4], fours[2];
  for (int v = 0; v < 4; ++v)
    twos[v] = __builtin_shuffle(x[2 * v], x[2 * v + 1], even) + __builtin_shuffle(x[2 * v], x[2 * v + 1], odd);
  for (int v = 0; v < 2; ++v)
    fours[v] = __builtin_shuffle(twos[2 * v], twos[2 * v + 1], first) +
               __builtin_shuffle(twos[2 * v], twos[2 * v + 1], second);
  return __builtin_shuffle(fours[0], fours[1], low) + __builtin_shuffle(fours[0], fours[1], high);
#endif
}

} // namespace weft
