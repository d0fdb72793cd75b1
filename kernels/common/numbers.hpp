// As many fp32 numbers as one instruction takes: eight lanes on a host, one number for a thread of a device. Kernels
// that go along arrays are written once for both; compilers alone make poor vector code of bf16 and of exp.
#pragma once
#include "kernels/common/exponential.hpp"
#include "kernels/common/lanes.hpp"
#include <type_traits>
#if defined(__AVX2__) && !defined(__CUDACC__)
#include <immintrin.h>
#endif

namespace weft {

#if defined(__CUDACC__)

typedef float Numbers;
constexpr int number_count = 1;

template <class T>
WEFT_FUNCTION Numbers numbers_at(const T* p, std::int64_t) {
  return load(*p);
}
template <class T>
WEFT_FUNCTION void put_numbers(T* p, Numbers x, std::int64_t) {
  *p = store<T>(x);
}
/// x as it comes back from the storage type.
template <class T>
WEFT_FUNCTION Numbers stored(Numbers x) {
  return load(store<T>(x));
}
WEFT_FUNCTION Numbers exp_of(Numbers x) { return fast_exp(x); }
WEFT_FUNCTION Numbers first_of(Numbers x, std::int64_t) { return x; }
WEFT_FUNCTION float total_of(Numbers x) { return x; }

#else

typedef Lanes Numbers;
constexpr int number_count = lane_count;
typedef std::uint32_t NumberBits __attribute__((vector_size(32)));
typedef std::int32_t NumberMarks __attribute__((vector_size(32)));

/// The bits of x as bf16. A NaN is cut, not rounded: what arithmetic makes of a NaN is quiet and stays one.
WEFT_FUNCTION NumberBits rounded_bits(Numbers x, bf16) {
  const NumberBits wide = reinterpret_cast<NumberBits>(x), up = 0x7fffu + ((wide << 15) >> 31);
  return (wide + (up & ~reinterpret_cast<NumberBits>(x != x))) >> 16;
}

WEFT_FUNCTION void put_all(float* p, Numbers x) { put_lanes(p, x); }
WEFT_FUNCTION void put_all(bf16* p, Numbers x) {
#if defined(__AVX2__)
  const __m256i bits = reinterpret_cast<__m256i>(rounded_bits(x, {}));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p),
                   _mm_packus_epi32(_mm256_castsi256_si128(bits), _mm256_extracti128_si256(bits, 1)));
#else
  typedef std::uint16_t Narrow __attribute__((vector_size(16)));
  const Narrow bits = __builtin_convertvector(rounded_bits(x, {}), Narrow);
  memcpy(p, &bits, sizeof bits);
#endif
}

WEFT_FUNCTION void put_all(fp16* p, Numbers x) {
#if defined(__F16C__)
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
#else
  for (int v = 0; v < number_count; ++v)
    p[v] = store<fp16>(x[v]);
#endif
}

/// p[0 .. count), zeros behind; count <= number_count.
template <class T>
WEFT_FUNCTION Numbers numbers_at(const T* p, std::int64_t count) {
  if (count == number_count)
    return lanes_at(p);
  T some[number_count] = {};
  memcpy(some, p, static_cast<std::size_t>(count) * sizeof(T));
  return lanes_at(some);
}
template <class T>
WEFT_FUNCTION void put_numbers(T* p, Numbers x, std::int64_t count) {
  if (count == number_count)
    return put_all(p, x);
  T some[number_count];
  put_all(some, x);
  memcpy(p, some, static_cast<std::size_t>(count) * sizeof(T));
}
/// x as it comes back from the storage type.
template <class T>
WEFT_FUNCTION Numbers stored(Numbers x) {
  if constexpr (std::is_same_v<T, float>) {
    return x;
  } else if constexpr (std::is_same_v<T, bf16>) {
    return reinterpret_cast<Numbers>(rounded_bits(x, T{}) << 16);
  } else {
    T narrow[number_count];
    put_all(narrow, x);
    return lanes_at(narrow);
  }
}

/// The first `count` lanes, zeros behind.
WEFT_FUNCTION Numbers first_of(Numbers x, std::int64_t count) {
  constexpr NumberMarks number = {0, 1, 2, 3, 4, 5, 6, 7};
  return reinterpret_cast<Numbers>(reinterpret_cast<NumberMarks>(x) & (number < static_cast<std::int32_t>(count)));
}
WEFT_FUNCTION float total_of(Numbers x) { return ((x[0] + x[4]) + (x[2] + x[6])) + ((x[1] + x[5]) + (x[3] + x[7])); }

/// As fast_exp, but the power of two is added to the exponent's bits.
WEFT_FUNCTION Numbers exp_of(Numbers x) {
#if defined(__AVX2__)
  const Numbers kept = _mm256_min_ps(Numbers{} + 88.0f, x); // of a NaN: the second
#else
  const Numbers kept = x > 88.0f ? Numbers{} + 88.0f : x;
#endif
  const Numbers shifted = kept * 1.44269504f + 12582912.0f; // 1.5 * 2^23: rounds to an integer in the low bits
  const Numbers n = shifted - 12582912.0f;
  const Numbers r = (kept - n * 0.693359375f) + n * 2.12194440e-4f;
  Numbers p = r * 1.3888889e-3f + 8.3333337e-3f;
  p = p * r + 4.1666668e-2f;
  p = p * r + 1.6666667e-1f;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  const NumberBits power = reinterpret_cast<NumberBits>(p) + (reinterpret_cast<NumberBits>(shifted) << 23);
  return reinterpret_cast<Numbers>(reinterpret_cast<NumberMarks>(power) & ~(x < -87.0f));
}

#endif

/// Calls body(i, count) for groups of numbers that cover [begin, end): count is number_count but in the last of them.
template <class Body>
WEFT_FUNCTION void for_numbers(std::int64_t begin, std::int64_t end, const Body& body) {
  std::int64_t i = begin;
  for (; i + number_count <= end; i += number_count)
    body(i, number_count);
  if (i < end)
    body(i, end - i);
}

/// Sum of term(j, count), j in [0, n), in a fixed order: on a host 32 running sums, so that none waits for another.
/// What term gives behind `count` is left out.
template <class Term>
WEFT_FUNCTION float sum_of_numbers(std::int64_t n, const Term& term) {
  constexpr int side_by_side = 4;
  Numbers sums[side_by_side] = {};
  std::int64_t j = 0;
  for (; j + side_by_side * number_count <= n; j += side_by_side * number_count)
    for (int v = 0; v < side_by_side; ++v)
      sums[v] = sums[v] + term(j + v * number_count, number_count);
  for_numbers(j, n, [&](std::int64_t i, std::int64_t count) {
    sums[0] = sums[0] + (count == number_count ? term(i, count) : first_of(term(i, count), count));
  });
  return total_of((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

/// sigmoid(x), tanh(x)
WEFT_FUNCTION Numbers sigmoid_of(Numbers x) { return 1.0f / (1.0f + exp_of(-x)); }
WEFT_FUNCTION Numbers tanh_of(Numbers x) { return 1.0f - 2.0f / (1.0f + exp_of(2.0f * x)); }

} // namespace weft
