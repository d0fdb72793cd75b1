#include "kernels/common/dot_reference.hpp"
#include "kernels/linear_attention/random_features.hpp"
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace weft::reference {

namespace {
double projection(const double* x, const double* row, std::int64_t width) {
  return dot(x, row, width) / std::pow(static_cast<double>(width), 0.25);
}
} // namespace

void random_features_forward(double* phi, const double* x, const double* omega, const double* stabilisers,
                             std::int64_t rows, std::int64_t width, std::int64_t features, double epsilon) {
  const double ratio = 1 / std::sqrt(static_cast<double>(features));
  for (std::int64_t r = 0; r < rows; ++r) {
    const double squares = dot(x + r * width, x + r * width, width) / std::sqrt(static_cast<double>(width));
    for (std::int64_t m = 0; m < features; ++m)
      phi[r * features + m] = ratio * (std::exp(projection(x + r * width, omega + m * width, width) - squares / 2 -
                                                (stabilisers ? stabilisers[r] : 0)) +
                                       epsilon);
  }
}

void random_features_backward(double* dx, const double* dphi, const double* phi, const double* x, const double* omega,
                              std::int64_t rows, std::int64_t width, std::int64_t features, double epsilon) {
  const double ratio = 1 / std::sqrt(static_cast<double>(features)),
               scale = 1 / std::pow(static_cast<double>(width), 0.25);
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t e = 0; e < width; ++e) {
      double sum = 0;
      for (std::int64_t m = 0; m < features; ++m)
        sum += dphi[r * features + m] * (phi[r * features + m] - ratio * epsilon) *
               (omega[m * width + e] - scale * x[r * width + e]);
      dx[r * width + e] = scale * sum;
    }
}

void random_features_stabilisers(double* stabilisers, FeaturesOf of, const double* x, const double* omega,
                                 std::int64_t batch, std::int64_t length, std::int64_t heads, std::int64_t width,
                                 std::int64_t features, const std::uint32_t* seen) {
  const std::int64_t words = (length + 31) / 32;
  std::vector<double> of_head(static_cast<std::size_t>(batch * heads), -std::numeric_limits<double>::infinity());
  for (std::int64_t r = 0; r < batch * length * heads; ++r) {
    const std::int64_t b = r / heads / length, i = r / heads % length;
    double top = -std::numeric_limits<double>::infinity();
    for (std::int64_t m = 0; m < features; ++m)
      top = std::max(top, projection(x + r * width, omega + m * width, width));
    stabilisers[r] = top;
    if (!seen || (seen[b * words + i / 32] >> (i % 32) & 1u) != 0) {
      double& all = of_head[static_cast<std::size_t>(b * heads + r % heads)];
      all = std::max(all, top);
    }
  }
  for (std::int64_t r = 0; r < batch * length * heads && of != FeaturesOf::queries; ++r) {
    const double top = of_head[static_cast<std::size_t>(r / heads / length * heads + r % heads)];
    stabilisers[r] = of == FeaturesOf::causal_keys || std::isinf(top) ? 0 : top; // infinite: no real key
  }
}

} // namespace weft::reference
