#include "kernels/pairs/pairs.hpp"

namespace weft::reference {

void pairs_forward(double* features, const double* x, PairFeatures kind, std::int64_t pairs, std::int64_t width) {
  for (std::int64_t b = 0; b < pairs; ++b)
    for (std::int64_t j = 0; j < width; ++j) {
      const double x1 = x[b * width + j], x2 = x[(pairs + b) * width + j];
      double* to = features + b * pair_width(kind, width) + j;
      to[0] = kind == PairFeatures::second_first ? x2 : x1;
      to[width] = kind == PairFeatures::second_first ? x1 : x2;
      if (kind == PairFeatures::four) {
        to[2 * width] = x1 * x2;
        to[3 * width] = x1 - x2;
      }
    }
}

void pairs_backward(double* dx, const double* dfeatures, const double* x, PairFeatures kind, std::int64_t pairs,
                    std::int64_t width) {
  for (std::int64_t b = 0; b < pairs; ++b)
    for (std::int64_t j = 0; j < width; ++j) {
      const double x1 = x[b * width + j], x2 = x[(pairs + b) * width + j];
      const double* from = dfeatures + b * pair_width(kind, width) + j;
      double &d1 = dx[b * width + j], &d2 = dx[(pairs + b) * width + j];
      d1 = kind == PairFeatures::second_first ? from[width] : from[0];
      d2 = kind == PairFeatures::second_first ? from[0] : from[width];
      if (kind == PairFeatures::four) {
        d1 += from[2 * width] * x2 + from[3 * width];
        d2 += from[2 * width] * x1 - from[3 * width];
      }
    }
}

} // namespace weft::reference
