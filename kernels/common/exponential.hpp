// exp in fp32, written so that a loop over it becomes vector code on every host and the same bits come out everywhere.
#pragma once
#include "kernels/common/types.hpp"

namespace weft {

/// e^x, relative error below 2e-7; 0 below -87, the largest finite value's neighbourhood above 88; NaN stays NaN.
/// Cody-Waite reduction x = n ln 2 + r, |r| <= ln(2)/2, a degree-6 polynomial for e^r, and 2^n by the exponent bits.
WEFT_FUNCTION float fast_exp(float x) {
  const float kept = x < -87.0f ? -87.0f : (x > 88.0f ? 88.0f : x);
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
  std::uint32_t bits;
  memcpy(&bits, &shifted, sizeof bits);
  bits = (bits + 127u) << 23;
  float power;
  memcpy(&power, &bits, sizeof power);
  return x < -87.0f ? 0.0f : (x == x ? p * power : x);
}

} // namespace weft
