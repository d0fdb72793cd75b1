#include "kernels/random/normal.hpp"
#include "kernels/random/philox.hpp"
#include <cmath>
#include <numbers>

namespace weft {

void fill_normal(float* values, std::int64_t n, double std, std::uint64_t seed, std::uint32_t tensor) {
  const RandomKey key{seed, 0xffffffffu, 0xffffffffu, tensor};
  for (std::int64_t i = 0; i < n; i += 2) {
    const Philox4 r = random4(key, static_cast<std::uint32_t>(i / 2));
    const double u = (r.x[0] + 0.5) * 0x1p-32, angle = 2 * std::numbers::pi * (r.x[1] * 0x1p-32);
    const double radius = std * std::sqrt(-2 * std::log(u));
    values[i] = static_cast<float>(radius * std::cos(angle));
    if (i + 1 < n)
      values[i + 1] = static_cast<float>(radius * std::sin(angle));
  }
}

} // namespace weft
