#include "kernels/norm/batch_norm.hpp"
#include "kernels/pool/pool.hpp"
#include <cmath>

namespace weft::reference {

namespace {
/// body(first element of a seen row), for all of them in order. Returns their number.
template <class Body>
double for_seen_rows(const BatchNormShape& shape, const std::uint32_t* seen, const Body& body) {
  double count = 0;
  for (std::int64_t s = 0; s < shape.sequences; ++s)
    for (std::int64_t i = 0; i < shape.length; ++i)
      if (is_seen(seen, seen_words(shape.length), s, i)) {
        body((s * shape.length + i) * shape.width);
        ++count;
      }
  return count;
}
} // namespace

void batch_norm_statistics(const BatchNormShape& shape, double* mean, double* r, double* variance, const double* x,
                           const std::uint32_t* seen, double epsilon) {
  for (std::int64_t j = 0; j < shape.width; ++j) {
    double sum = 0, squares = 0;
    const double n = for_seen_rows(shape, seen, [&](std::int64_t row) { sum += x[row + j]; });
    mean[j] = sum / n;
    for_seen_rows(shape, seen, [&](std::int64_t row) { squares += (x[row + j] - mean[j]) * (x[row + j] - mean[j]); });
    r[j] = 1 / std::sqrt(squares / n + epsilon);
    variance[j] = n > 1 ? squares / (n - 1) : 0;
  }
}

void batch_norm_apply(const BatchNormShape& shape, double* out, const double* x, const double* mean, const double* r,
                      const double* gain, const double* bias, const std::uint32_t* seen) {
  for (std::int64_t i = 0; i < shape.sequences * shape.length * shape.width; ++i)
    out[i] = 0;
  for_seen_rows(shape, seen, [&](std::int64_t row) {
    for (std::int64_t j = 0; j < shape.width; ++j)
      out[row + j] = gain[j] * (x[row + j] - mean[j]) * r[j] + bias[j];
  });
}

void batch_norm_backward(const BatchNormShape& shape, double* dx, double* dgain, double* dbias, const double* dout,
                         const double* x, const double* mean, const double* r, const double* gain,
                         const std::uint32_t* seen) {
  for (std::int64_t i = 0; i < shape.sequences * shape.length * shape.width; ++i)
    dx[i] = 0;
  for (std::int64_t j = 0; j < shape.width; ++j) {
    dgain[j] = dbias[j] = 0;
    const double n = for_seen_rows(shape, seen, [&](std::int64_t row) {
      dgain[j] += dout[row + j] * (x[row + j] - mean[j]) * r[j];
      dbias[j] += dout[row + j];
    });
    for_seen_rows(shape, seen, [&](std::int64_t row) {
      const double normalised = (x[row + j] - mean[j]) * r[j];
      dx[row + j] = gain[j] * r[j] * (dout[row + j] - dbias[j] / n - normalised * dgain[j] / n);
    });
  }
}

} // namespace weft::reference
