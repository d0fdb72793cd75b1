#include "kernels/random/uniform.hpp"
#include "kernels/random/philox.hpp"

namespace weft {

void fill_uniform(float* values, std::int64_t n, double bound, std::uint64_t seed, std::uint32_t tensor) {
  const RandomKey key{seed, 0xffffffffu, 0xffffffffu, tensor};
  for (std::int64_t i = 0; i < n; i += 4) {
    const Philox4 r = random4(key, static_cast<std::uint32_t>(i / 4));
    for (std::int64_t v = 0; v < 4 && i + v < n; ++v)
      values[i + v] = static_cast<float>(bound * ((r.x[v] + 0.5) * 0x1p-31 - 1));
  }
}

} // namespace weft
