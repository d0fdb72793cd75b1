// Storage types. Arithmetic is always fp32; a storage type only says how a number lies in memory.
#pragma once
#include <cstdint>
#include <cstring>

#if defined(__CUDACC__)
#define WEFT_FUNCTION __host__ __device__ inline
#else
#define WEFT_FUNCTION inline
#endif

/// In front of a loop whose iterations do not depend on each other, although what it writes may be what it reads, index
/// by index: without it the compiler takes the slow way where arrays overlap.
#if defined(__GNUC__) && !defined(__CUDACC__)
#define WEFT_INDEPENDENT _Pragma("GCC ivdep")
#else
#define WEFT_INDEPENDENT
#endif

namespace weft {

/// bfloat16: the upper half of an fp32, rounded to nearest even; a NaN stays a NaN.
struct bf16 {
  std::uint16_t bits;
};

WEFT_FUNCTION float load(float x) { return x; }

WEFT_FUNCTION float load(bf16 x) {
  const std::uint32_t wide = static_cast<std::uint32_t>(x.bits) << 16;
  float y;
  memcpy(&y, &wide, sizeof y);
  return y;
}

template <class T>
WEFT_FUNCTION T store(float x);

template <>
WEFT_FUNCTION float store<float>(float x) {
  return x;
}

template <>
WEFT_FUNCTION bf16 store<bf16>(float x) {
  std::uint32_t wide;
  memcpy(&wide, &x, sizeof wide);
  const std::uint32_t rounded = (wide + 0x7fffu + ((wide >> 16) & 1u)) >> 16, nan = (wide >> 16) | 0x40u;
  return bf16{static_cast<std::uint16_t>((wide & 0x7fffffffu) > 0x7f800000u ? nan : rounded)}; // a choice, no branch
}

} // namespace weft
