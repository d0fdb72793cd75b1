#include "kernels/loss/loss.hpp"
#include <algorithm>
#include <cmath>

namespace weft::reference {

void cross_entropy(double* losses, double* dlogits, const double* logits, const std::uint16_t* targets, double factor,
                   std::int64_t rows, std::int64_t classes, const double* shares) {
  for (std::int64_t i = 0; i < rows; ++i) {
    const double share = shares ? shares[i] : 1;
    if (share == 0) {
      losses[i] = 0;
      std::fill_n(dlogits + i * classes, classes, 0.0);
      continue;
    }
    const double* z = logits + i * classes;
    const double largest = *std::max_element(z, z + classes);
    double sum = 0;
    for (std::int64_t v = 0; v < classes; ++v)
      sum += std::exp(z[v] - largest);
    losses[i] = share * (std::log(sum) + largest - z[targets[i]]);
    for (std::int64_t v = 0; v < classes; ++v)
      dlogits[i * classes + v] = share * factor * (std::exp(z[v] - largest) / sum - (v == targets[i] ? 1 : 0));
  }
}

} // namespace weft::reference
