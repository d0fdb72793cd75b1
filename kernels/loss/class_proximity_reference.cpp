#include "kernels/loss/class_proximity.hpp"
#include "kernels/loss/loss.hpp"
#include <algorithm>
#include <cmath>
#include <vector>

namespace weft::reference {

void class_proximity(double* losses, double* dlogits, const double* logits, const std::uint16_t* targets,
                     double strength, double factor, std::int64_t rows, std::int64_t classes, const double* shares) {
  cross_entropy(losses, dlogits, logits, targets, factor, rows, classes, shares);
  const double span = static_cast<double>(std::max<std::int64_t>(1, classes - 1));
  std::vector<double> p(static_cast<std::size_t>(classes));
  for (std::int64_t i = 0; i < rows; ++i) {
    const double share = shares ? shares[i] : 1;
    if (share == 0)
      continue;
    const double* z = logits + i * classes;
    const double largest = *std::max_element(z, z + classes);
    double sum = 0, distance = 0;
    for (std::size_t v = 0; v < p.size(); ++v)
      sum += p[v] = std::exp(z[v] - largest);
    const auto away = [&](std::size_t v) { return std::abs(static_cast<double>(v) - targets[i]) / span; };
    for (std::size_t v = 0; v < p.size(); ++v)
      distance += (p[v] /= sum) * away(v);
    losses[i] += share * strength * distance;
    for (std::size_t v = 0; v < p.size(); ++v)
      dlogits[i * classes + static_cast<std::int64_t>(v)] += share * factor * strength * p[v] * (away(v) - distance);
  }
}

} // namespace weft::reference
