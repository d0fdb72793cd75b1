// Storage types. Arithmetic is always fp32; a storage type only says how a number lies in memory.
#pragma once
#include <cstdint>
#include <cstring>

#if defined(__CUDACC__)
#define WEFT_FUNCTION __host__ __device__ inline
#else
#define WEFT_FUNCTION inline
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
  if ((wide & 0x7fffffffu) > 0x7f800000u)
    return bf16{static_cast<std::uint16_t>((wide >> 16) | 0x40u)};
  wide += 0x7fffu + ((wide >> 16) & 1u);
  return bf16{static_cast<std::uint16_t>(wide >> 16)};
}

} // namespace weft
