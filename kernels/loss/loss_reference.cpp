#include "kernels/loss/loss.hpp"
#include <algorithm>
#include <cmath>

namespace weft::reference {

void cross_entropy(double* losses, double* dlogits, const double* logits, const std::uint16_t* targets, double factor,
                   std::int64_t rows, std::int64_t vocabulary) {
  for (std::int64_t i = 0; i < rows; ++i) {
    const double* z = logits + i * vocabulary;
    const double largest = *std::max_element(z, z + vocabulary);
    double sum = 0;
    for (std::int64_t v = 0; v < vocabulary; ++v)
      sum += std::exp(z[v] - largest);
    losses[i] = std::log(sum) + largest - z[targets[i]];
    for (std::int64_t v = 0; v < vocabulary; ++v)
      dlogits[i * vocabulary + v] = factor * (std::exp(z[v] - largest) / sum - (v == targets[i] ? 1 : 0));
  }
}

} // namespace weft::reference
