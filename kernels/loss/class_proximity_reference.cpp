#include "kernels/loss/class_proximity.hpp"
#include <algorithm>
#include <cmath>
#include <vector>

namespace weft::reference {

void class_proximity(double* losses, double* dlogits, const double* logits, const std::uint16_t* targets,
                     double strength, double factor, std::int64_t rows, std::int64_t classes, const double* shares) {
  const double span = static_cast<double>(std::max<std::int64_t>(1, classes - 1));
  std::vector<double> p(static_cast<std::size_t>(classes));
  for (std::int64_t i = 0; i < rows; ++i) {
    const double share = shares ? shares[i] : 1;
    if (share == 0) {
      losses[i] = 0;
      std::fill_n(dlogits + i * classes, classes, 0.0);
      continue;
    }
    const double* z = logits + i * classes;
    const std::int64_t target = targets[i];
    const double largest = *std::max_element(z, z + classes);
    double sum = 0, distance = 0;
    for (std::int64_t v = 0; v < classes; ++v)
      sum += std::exp(z[v] - largest);
    const auto away = [&](std::int64_t v) { return std::abs(static_cast<double>(v - target)) / span; };
    for (std::int64_t v = 0; v < classes; ++v) {
      p[static_cast<std::size_t>(v)] = std::exp(z[v] - largest) / sum;
      distance += p[static_cast<std::size_t>(v)] * away(v);
    }
    losses[i] = share * (std::log(sum) + largest - z[target] + strength * distance);
    for (std::int64_t v = 0; v < classes; ++v) {
      const double pv = p[static_cast<std::size_t>(v)];
      dlogits[i * classes + v] = share * factor * (pv - (v == target ? 1 : 0) + strength * pv * (away(v) - distance));
    }
  }
}

} // namespace weft::reference
