#include "kernels/random/normal.hpp"
#include "kernels/random/philox.hpp"
#include <cmath>
#include <numbers>

namespace weft {

namespace {
/// Two independent normal numbers from the first two words of r (Box-Muller).
struct Two {
  double cosine, sine;
};
Two normals(const Philox4& r, double std) {
  const double u = (r.x[0] + 0.5) * 0x1p-32, angle = 2 * std::numbers::pi * (r.x[1] * 0x1p-32);
  const double radius = std * std::sqrt(-2 * std::log(u));
  return {radius * std::cos(angle), radius * std::sin(angle)};
}
} // namespace

void fill_normal(float* values, std::int64_t n, double std, std::uint64_t seed, std::uint32_t tensor) {
  const RandomKey key{seed, 0xffffffffu, 0xffffffffu, tensor};
  for (std::int64_t i = 0; i < n; i += 2) {
    const Two two = normals(random4(key, static_cast<std::uint32_t>(i / 2)), std);
    values[i] = static_cast<float>(two.cosine);
    if (i + 1 < n)
      values[i + 1] = static_cast<float>(two.sine);
  }
}

void fill_truncated_normal(float* values, std::int64_t n, double std, std::uint64_t seed, std::uint32_t tensor) {
  // The standard deviation that is left of 1 when a normal distribution is cut at 2: sqrt(1 - 4 phi(2) / erf(sqrt(2))).
  constexpr double left = 0.87962566103423978;
  for (std::int64_t i = 0; i < n; ++i) {
    RandomKey key{seed, 0xffffffffu, 0xffffffffu, tensor};
    double value = 3;
    for (; !(std::abs(value) <= 2); --key.sample) {
      const Two two = normals(random4(key, static_cast<std::uint32_t>(i)), 1);
      value = std::abs(two.cosine) <= 2 ? two.cosine : two.sine;
    }
    values[i] = static_cast<float>(value * (std / left));
  }
}

} // namespace weft
