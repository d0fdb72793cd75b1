#include "kernels/embedding/sinusoid.hpp"
#include <cmath>

namespace weft {

void fill_sinusoid(float* table, std::int64_t n, std::int64_t width) {
  const double step = -std::log(10000.0) / static_cast<double>(width);
  for (std::int64_t p = 0; p < n; ++p)
    for (std::int64_t j = 0; j < width; ++j) {
      const double angle = static_cast<double>(p) * std::exp(step * static_cast<double>(j - j % 2));
      table[p * width + j] = static_cast<float>(j % 2 == 0 ? std::sin(angle) : std::cos(angle));
    }
}

} // namespace weft
