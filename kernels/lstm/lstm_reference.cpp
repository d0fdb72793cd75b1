#include "kernels/lstm/lstm.hpp"
#include <algorithm>
#include <cmath>
#include <vector>

namespace weft::reference {

namespace {
double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

std::int64_t length_of(const LstmShape& shape, const std::int32_t* lengths, std::int64_t s) {
  return lengths ? lengths[s] : shape.length;
}
/// Row of step k of a direction.
std::int64_t row_of(const LstmShape& shape, std::int64_t s, int d, std::int64_t n, std::int64_t k) {
  return s * shape.length + (d == 0 ? k : n - 1 - k);
}
} // namespace

void lstm_forward(const LstmShape& shape, double* out, double* gates, double* cells, const double* state_weight,
                  const double* state_bias, const std::int32_t* lengths) {
  const std::int64_t h = shape.hidden, rows = shape.sequences * shape.length;
  std::fill_n(out, rows * 2 * h, 0.0);
  std::fill_n(cells, rows * 2 * h, 0.0);
  for (std::int64_t s = 0; s < shape.sequences; ++s)
    for (int d = 0; d < 2; ++d) {
      const std::int64_t n = length_of(shape, lengths, s);
      for (std::int64_t k = 0; k < n; ++k) {
        const std::int64_t row = row_of(shape, s, d, n, k), before = row_of(shape, s, d, n, k - 1);
        double* a = gates + (row * 2 + d) * 4 * h;
        for (std::int64_t j = 0; j < 4 * h; ++j) {
          a[j] += state_bias ? state_bias[d * 4 * h + j] : 0;
          for (std::int64_t p = 0; p < h && k > 0; ++p)
            a[j] += out[(before * 2 + d) * h + p] * state_weight[(d * h + p) * 4 * h + j];
          a[j] = j / h == 2 ? std::tanh(a[j]) : sigmoid(a[j]);
        }
        for (std::int64_t j = 0; j < h; ++j) {
          double& c = cells[(row * 2 + d) * h + j];
          c = a[j] * a[2 * h + j] + (k > 0 ? a[h + j] * cells[(before * 2 + d) * h + j] : 0);
          out[(row * 2 + d) * h + j] = a[3 * h + j] * std::tanh(c);
        }
      }
    }
}

void lstm_backward(const LstmShape& shape, double* gates, const double* dout, const double* cells,
                   const double* state_weight, const std::int32_t* lengths) {
  const std::int64_t h = shape.hidden;
  for (std::int64_t s = 0; s < shape.sequences; ++s)
    for (int d = 0; d < 2; ++d) {
      const std::int64_t n = length_of(shape, lengths, s);
      std::vector<double> dc(static_cast<std::size_t>(h), 0.0), dh(dc);
      for (std::int64_t k = n - 1; k >= 0; --k) {
        const std::int64_t row = row_of(shape, s, d, n, k), before = row_of(shape, s, d, n, k - 1);
        double* a = gates + (row * 2 + d) * 4 * h;
        for (std::int64_t j = 0; j < h; ++j) {
          const auto u = static_cast<std::size_t>(j);
          const double i = a[j], f = a[h + j], g = a[2 * h + j], o = a[3 * h + j];
          const double t = std::tanh(cells[(row * 2 + d) * h + j]);
          const double c_before = k > 0 ? cells[(before * 2 + d) * h + j] : 0;
          const double dy = dout[(row * 2 + d) * h + j] + dh[u];
          dc[u] += dy * o * (1 - t * t);
          a[j] = dc[u] * g * i * (1 - i);
          a[h + j] = dc[u] * c_before * f * (1 - f);
          a[2 * h + j] = dc[u] * i * (1 - g * g);
          a[3 * h + j] = dy * t * o * (1 - o);
          dc[u] *= f;
        }
        for (std::int64_t p = 0; p < h; ++p) {
          dh[static_cast<std::size_t>(p)] = 0;
          for (std::int64_t j = 0; j < 4 * h; ++j)
            dh[static_cast<std::size_t>(p)] += a[j] * state_weight[(d * h + p) * 4 * h + j];
        }
      }
      for (std::int64_t t = n; t < shape.length; ++t)
        std::fill_n(gates + ((s * shape.length + t) * 2 + d) * 4 * h, 4 * h, 0.0);
    }
}

void lstm_state_operands(const LstmShape& shape, int direction, double* before, double* own, const double* out,
                         const double* dgates, const std::int32_t* lengths) {
  const std::int64_t h = shape.hidden;
  for (std::int64_t s = 0; s < shape.sequences; ++s)
    for (std::int64_t t = 0; t < shape.length; ++t) {
      const std::int64_t row = s * shape.length + t, n = length_of(shape, lengths, s);
      const std::int64_t from = direction == 0 ? t - 1 : t + 1;
      for (std::int64_t j = 0; j < h; ++j)
        before[row * h + j] =
            t < n && from >= 0 && from < n ? out[((s * shape.length + from) * 2 + direction) * h + j] : 0;
      for (std::int64_t j = 0; j < 4 * h; ++j)
        own[row * 4 * h + j] = dgates[(row * 2 + direction) * 4 * h + j];
    }
}

} // namespace weft::reference
