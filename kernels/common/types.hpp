// Storage types. Arithmetic is always fp32; a storage type only says how a number lies in memory.
#pragma once
#include <cstdint>
#include <cstring>
#if defined(__CUDACC__)
#include <cuda_fp16.h>
#elif defined(__F16C__)
#include <immintrin.h>
#endif

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

/// IEEE binary16, rounded to nearest even, subnormals kept: 65,520 and more become infinity; a NaN stays a NaN.
struct fp16 {
  std::uint16_t bits;
};

WEFT_FUNCTION float load(float x) { return x; }

WEFT_FUNCTION float load(bf16 x) {
  const std::uint32_t wide = static_cast<std::uint32_t>(x.bits) << 16;
  float y;
  memcpy(&y, &wide, sizeof y);
  return y;
}

/// The same two conversions in integer arithmetic, for processors that have no instruction for them.
WEFT_FUNCTION float wide_of(fp16 x) {
  const std::uint32_t sign = static_cast<std::uint32_t>(x.bits & 0x8000u) << 16, size = x.bits & 0x7fffu;
  if (size < 0x400u) { // subnormal: units of 2^-24
    const float y = static_cast<float>(size) * 5.9604644775390625e-8f;
    return sign ? -y : y;
  }
  const std::uint32_t wide = sign | (size >= 0x7c00u ? 0x7f800000u | size << 13 : (size << 13) + (112u << 23));
  float y;
  memcpy(&y, &wide, sizeof y);
  return y;
}

WEFT_FUNCTION fp16 narrow_of(float x) {
  std::uint32_t wide;
  memcpy(&wide, &x, sizeof wide);
  const std::uint32_t sign = wide >> 16 & 0x8000u, size = wide & 0x7fffffffu;
  std::uint32_t bits;
  if (size > 0x7f800000u) {
    bits = 0x7e00u | (size >> 13 & 0x3ffu);
  } else if (size >= 0x477ff000u) {
    bits = 0x7c00u;
  } else if (size >= 0x38800000u) {
    bits = ((size + 0xfffu + (size >> 13 & 1u)) >> 13) - (112u << 10);
  } else { // numbers from 0.5 to 1 are spaced by 2^-24, as subnormals are: the sum rounds
    float y;
    memcpy(&y, &size, sizeof y);
    y += 0.5f;
    memcpy(&bits, &y, sizeof bits);
    bits -= 0x3f000000u;
  }
  return fp16{static_cast<std::uint16_t>(sign | bits)};
}

WEFT_FUNCTION float load(fp16 x) {
#if defined(__CUDA_ARCH__)
  return __half2float(__ushort_as_half(x.bits));
#elif defined(__F16C__) && !defined(__CUDACC__)
  return _cvtsh_ss(x.bits);
#else
  return wide_of(x);
#endif
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

template <>
WEFT_FUNCTION fp16 store<fp16>(float x) {
#if defined(__CUDA_ARCH__)
  return fp16{__half_as_ushort(__float2half_rn(x))};
#elif defined(__F16C__) && !defined(__CUDACC__)
  return fp16{_cvtss_sh(x, _MM_FROUND_TO_NEAREST_INT)};
#else
  return narrow_of(x);
#endif
}

} // namespace weft
