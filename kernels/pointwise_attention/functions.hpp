// The functions of pointwise attention (pointwise_attention.hpp) and their slopes. Included by .cpp files under
// kernels/ only.
#pragma once
#include "kernels/activation/forms.hpp"

namespace weft::pointwise {

struct Laplace {
  static constexpr float mu = 0.707107f, sigma = 0.282095f;
  static WEFT_FUNCTION Numbers value(Numbers s) {
    const Numbers z = (s - mu) * (1.0f / sigma);
    return ExactGelu::distribution(z, exp_of(-0.5f * z * z));
  }
  static WEFT_FUNCTION void both(Numbers s, Numbers& value, Numbers& slope) {
    const Numbers z = (s - mu) * (1.0f / sigma), bell = exp_of(-0.5f * z * z);
    value = ExactGelu::distribution(z, bell);
    slope = (0.39894228f / sigma) * bell; // 1 / sqrt(2 pi)
  }
};

struct SquaredRelu {
  static WEFT_FUNCTION Numbers value(Numbers s) {
    const Numbers x = Relu::value(s);
    return x * x;
  }
  static WEFT_FUNCTION void both(Numbers s, Numbers& value, Numbers& slope) {
    const Numbers x = Relu::value(s);
    value = x * x;
    slope = 2.0f * x;
  }
};

} // namespace weft::pointwise
