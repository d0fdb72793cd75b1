#include "kernels/synthesizer/factored_scores.hpp"
#include <algorithm>

namespace weft::reference {

void factor_rows_forward(const FactorShape& s, double* factors, const double* u, const double* bias, const double* w,
                         const double* c) {
  for (std::int64_t row = 0; row < s.rows; ++row)
    for (std::int64_t h = 0; h < s.heads; ++h)
      for (std::int64_t j = 0; j < s.numbers; ++j) {
        double sum = c[h * s.numbers + j];
        for (std::int64_t f = h * s.hidden; f < (h + 1) * s.hidden; ++f)
          sum += std::max(0.0, u[row * s.heads * s.hidden + f] + bias[f]) * w[f * s.numbers + j];
        factors[(row * s.heads + h) * s.numbers + j] = sum;
      }
}

void factor_rows_backward(const FactorShape& s, double* du, double* dbias, double* dw, double* dc,
                          const double* dfactors, const double* u, const double* bias, const double* w) {
  const std::int64_t wide = s.heads * s.hidden;
  std::fill(du, du + s.rows * wide, 0.0);
  std::fill(dbias, dbias + wide, 0.0);
  std::fill(dw, dw + wide * s.numbers, 0.0);
  std::fill(dc, dc + s.heads * s.numbers, 0.0);
  for (std::int64_t row = 0; row < s.rows; ++row)
    for (std::int64_t h = 0; h < s.heads; ++h)
      for (std::int64_t j = 0; j < s.numbers; ++j) {
        const double slope = dfactors[(row * s.heads + h) * s.numbers + j];
        dc[h * s.numbers + j] += slope;
        for (std::int64_t f = h * s.hidden; f < (h + 1) * s.hidden; ++f) {
          const double z = u[row * wide + f] + bias[f];
          if (z <= 0)
            continue;
          dw[f * s.numbers + j] += z * slope;
          du[row * wide + f] += w[f * s.numbers + j] * slope;
          dbias[f] += w[f * s.numbers + j] * slope;
        }
      }
}

void factored_scores_forward(const FactoredShape& s, double* a, const double* alpha, const double* beta) {
  const std::int64_t N = s.length;
  for (std::int64_t b = 0; b < s.sequences; ++b)
    for (std::int64_t h = 0; h < s.heads; ++h)
      for (std::int64_t i = 0; i < N; ++i)
        for (std::int64_t j = 0; j < N; ++j) {
          const std::int64_t row = (b * N + i) * s.heads + h;
          a[((b * s.heads + h) * N + i) * N + j] =
              alpha[row * s.inner + j % s.inner] * beta[row * s.outer + j / s.inner];
        }
}

void factored_scores_backward(const FactoredShape& s, double* dalpha, double* dbeta, const double* da,
                              const double* alpha, const double* beta) {
  const std::int64_t N = s.length, rows = s.sequences * N * s.heads;
  std::fill(dalpha, dalpha + rows * s.inner, 0.0);
  std::fill(dbeta, dbeta + rows * s.outer, 0.0);
  for (std::int64_t b = 0; b < s.sequences; ++b)
    for (std::int64_t h = 0; h < s.heads; ++h)
      for (std::int64_t i = 0; i < N; ++i)
        for (std::int64_t j = 0; j < N; ++j) {
          const std::int64_t row = (b * N + i) * s.heads + h, in = row * s.inner + j % s.inner,
                             out = row * s.outer + j / s.inner;
          const double slope = da[((b * s.heads + h) * N + i) * N + j];
          dalpha[in] += slope * beta[out];
          dbeta[out] += slope * alpha[in];
        }
}

} // namespace weft::reference
