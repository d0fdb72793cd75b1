// The forms of the activation: value(u) = f(u) and both(u, value, slope) with slope = f'(u), numbers side by side.
// Included by .cpp files under kernels/ only.
#pragma once
#include "kernels/common/numbers.hpp"

namespace weft {

struct SigmoidGelu {
  static WEFT_FUNCTION Numbers value(Numbers x) { return x * (1.0f / (1.0f + exp_of(-1.702f * x))); }
  static WEFT_FUNCTION void both(Numbers x, Numbers& value, Numbers& slope) {
    const Numbers s = 1.0f / (1.0f + exp_of(-1.702f * x));
    value = x * s;
    slope = s + 1.702f * x * s * (1.0f - s);
  }
};

struct Silu {
  static WEFT_FUNCTION Numbers value(Numbers x) { return x * (1.0f / (1.0f + exp_of(-x))); }
  static WEFT_FUNCTION void both(Numbers x, Numbers& value, Numbers& slope) {
    const Numbers s = 1.0f / (1.0f + exp_of(-x));
    value = x * s;
    slope = s + x * s * (1.0f - s);
  }
};

struct Tanh {
  /// Next to 0, where 1 - 2 / (1 + exp(2x)) loses its digits, the Taylor polynomial.
  static WEFT_FUNCTION Numbers value(Numbers x) {
    const Numbers far = tanh_of(x), low = x < -0.25f ? Numbers{} - 0.25f : x, y = low > 0.25f ? Numbers{} + 0.25f : low;
    const Numbers s = y * y, near = y * (1.0f + s * (-0.33333333f + s * (0.13333333f + s * -0.053968254f)));
    const Numbers below = x > -0.25f ? near : far;
    return x < 0.25f ? below : far;
  }
  static WEFT_FUNCTION void both(Numbers x, Numbers& value, Numbers& slope) {
    value = Tanh::value(x);
    slope = 1.0f - value * value;
  }
};

/// (1 + tanh(z)) / 2 = sigmoid(2 z).
struct GeluTanh {
  static constexpr float root = 0.79788456f, cubic = 0.044715f; // sqrt(2/pi)
  static WEFT_FUNCTION Numbers value(Numbers x) {
    return x * (1.0f / (1.0f + exp_of(-2.0f * root * (x + cubic * x * x * x))));
  }
  static WEFT_FUNCTION void both(Numbers x, Numbers& value, Numbers& slope) {
    value = GeluTanh::value(x);
    // Beyond 16 the slope is 0 or 1 and x^2 may overflow.
    const Numbers low = x < -16.0f ? Numbers{} - 16.0f : x, y = low > 16.0f ? Numbers{} + 16.0f : low;
    const Numbers s = 1.0f / (1.0f + exp_of(-2.0f * root * (y + cubic * y * y * y)));
    slope = s + y * s * (1.0f - s) * (2.0f * root * (1.0f + 3.0f * cubic * y * y));
  }
};

struct ExactGelu {
  /// Phi(x); bell = exp(-x^2 / 2). Phi(-|x|) = bell erfcx(|x| / sqrt(2)) / 2 with erfcx(z) = exp(z^2) erfc(z) as a
  /// polynomial in t = 1 / (1 + z / 2), fitted here for the least relative error: 4e-8, in fp32 2e-7.
  static WEFT_FUNCTION Numbers distribution(Numbers x, Numbers bell) {
    const Numbers size = x < 0.0f ? -x : x, t = 1.0f / (1.0f + 0.35355339f * size);
    Numbers p = t * -0.059065878f + 0.28455985f;
    p = p * t - 0.48716837f;
    p = p * t + 0.27803081f;
    p = p * t - 0.026600426f;
    p = p * t + 0.2026761f;
    p = p * t + 0.24310651f;
    p = p * t + 0.28237492f;
    p = p * t + 0.28208643f;
    const Numbers below = 0.5f * bell * (p * t);
    return x > 0.0f ? 1.0f - below : below;
  }
  static WEFT_FUNCTION Numbers value(Numbers x) { return x * distribution(x, exp_of(-0.5f * x * x)); }
  static WEFT_FUNCTION void both(Numbers x, Numbers& value, Numbers& slope) {
    const Numbers bell = exp_of(-0.5f * x * x), phi = distribution(x, bell);
    value = x * phi;
    slope = phi + 0.39894228f * x * bell; // 1 / sqrt(2 pi)
  }
};

struct Relu {
  static WEFT_FUNCTION Numbers value(Numbers x) { return x < 0.0f ? Numbers{} : x; } // of a NaN: itself
  static WEFT_FUNCTION void both(Numbers x, Numbers& value, Numbers& slope) {
    value = Relu::value(x);
    slope = x > 0.0f ? Numbers{} + 1.0f : 0.0f * value; // a NaN again
  }
};

} // namespace weft
