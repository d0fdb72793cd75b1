#include "kernels/lsh/keys.hpp"
#include <cmath>

namespace weft::reference {

namespace {
double length_of(SharedKeys kind, const double* q, std::int64_t width) {
  double squares = 0;
  for (std::int64_t e = 0; e < width; ++e)
    squares += q[e] * q[e];
  return kind == SharedKeys::trax ? std::sqrt(squares + 1e-6 * static_cast<double>(width)) : std::sqrt(squares);
}
bool vanishes(SharedKeys kind, double length) { return kind == SharedKeys::unit && length <= 1e-12; }
} // namespace

void shared_keys_forward(SharedKeys kind, double* k, const double* q, std::int64_t rows, std::int64_t width) {
  for (std::int64_t i = 0; i < rows; ++i) {
    const double length = length_of(kind, q + i * width, width);
    for (std::int64_t e = 0; e < width; ++e)
      k[i * width + e] = kind == SharedKeys::raw  ? q[i * width + e]
                         : vanishes(kind, length) ? 0
                                                  : q[i * width + e] / length;
  }
}

void shared_keys_backward(SharedKeys kind, double* dq, const double* dk, const double* q, std::int64_t rows,
                          std::int64_t width) {
  for (std::int64_t i = 0; i < rows; ++i) {
    const double *of = q + i * width, *d = dk + i * width, length = length_of(kind, of, width);
    double along = 0; // k . dk
    for (std::int64_t e = 0; e < width; ++e)
      along += of[e] / length * d[e];
    for (std::int64_t e = 0; e < width; ++e)
      if (kind == SharedKeys::raw)
        dq[i * width + e] += d[e];
      else if (!vanishes(kind, length))
        dq[i * width + e] += (d[e] - of[e] / length * along) / length;
  }
}

} // namespace weft::reference
