#include "kernels/synthesizer/synthetic_scores.hpp"
#include <algorithm>

namespace weft::reference {

void factor_scores_forward(const JoinShape& s, double* a, const double* left, const double* right) {
  const std::int64_t N = s.length, F = s.features;
  for (std::int64_t h = 0; h < s.heads; ++h)
    for (std::int64_t i = 0; i < N; ++i)
      for (std::int64_t j = 0; j < N; ++j) {
        double sum = 0;
        for (std::int64_t f = 0; f < F; ++f)
          sum += left[(h * N + i) * F + f] * right[(h * N + j) * F + f];
        a[(h * N + i) * N + j] = sum;
      }
}

void factor_scores_backward(const JoinShape& s, double* dleft, double* dright, const double* da, const double* left,
                            const double* right) {
  const std::int64_t N = s.length, F = s.features;
  std::fill(dleft, dleft + s.heads * N * F, 0.0);
  std::fill(dright, dright + s.heads * N * F, 0.0);
  for (std::int64_t h = 0; h < s.heads; ++h)
    for (std::int64_t i = 0; i < N; ++i)
      for (std::int64_t j = 0; j < N; ++j)
        for (std::int64_t f = 0; f < F; ++f) {
          dleft[(h * N + i) * F + f] += da[(h * N + i) * N + j] * right[(h * N + j) * F + f];
          dright[(h * N + j) * F + f] += da[(h * N + i) * N + j] * left[(h * N + i) * F + f];
        }
}

namespace {
/// The row of u, in (token, head) order, that head h takes for query i.
std::int64_t row_of_u(const JoinShape& s, HiddenForm form, std::int64_t h, std::int64_t i) {
  return form.reshaped ? h * s.length + i : i * s.heads + h;
}
} // namespace

void hidden_scores_forward(const JoinShape& s, HiddenForm form, double* a, const double* u, const double* bias,
                           const double* w, const double* c) {
  const std::int64_t N = s.length, H = s.heads, d = s.features - 1;
  for (std::int64_t b = 0; b < s.sequences; ++b)
    for (std::int64_t h = 0; h < H; ++h)
      for (std::int64_t i = 0; i < N; ++i) {
        const std::int64_t row = row_of_u(s, form, h, i), own = form.shared ? 0 : h;
        for (std::int64_t j = 0; j < N; ++j) {
          double sum = c[own * N + j];
          for (std::int64_t f = 0; f < d; ++f)
            sum += std::max(0.0, u[(b * N * H + row) * d + f] + bias[row % H * d + f]) * w[(own * d + f) * N + j];
          a[((b * H + h) * N + i) * N + j] = sum;
        }
      }
}

void hidden_scores_backward(const JoinShape& s, HiddenForm form, double* du, double* dbias, double* dw, double* dc,
                            const double* da, const double* u, const double* bias, const double* w) {
  const std::int64_t N = s.length, H = s.heads, d = s.features - 1, own_heads = form.shared ? 1 : H;
  std::fill(du, du + s.sequences * N * H * d, 0.0);
  std::fill(dbias, dbias + H * d, 0.0);
  std::fill(dw, dw + own_heads * d * N, 0.0);
  std::fill(dc, dc + own_heads * N, 0.0);
  for (std::int64_t b = 0; b < s.sequences; ++b)
    for (std::int64_t h = 0; h < H; ++h)
      for (std::int64_t i = 0; i < N; ++i) {
        const std::int64_t row = row_of_u(s, form, h, i), own = form.shared ? 0 : h;
        for (std::int64_t j = 0; j < N; ++j) {
          const double slope = da[((b * H + h) * N + i) * N + j];
          dc[own * N + j] += slope;
          for (std::int64_t f = 0; f < d; ++f) {
            const double z = u[(b * N * H + row) * d + f] + bias[row % H * d + f];
            dw[(own * d + f) * N + j] += slope * std::max(0.0, z);
            if (z > 0) {
              du[(b * N * H + row) * d + f] += slope * w[(own * d + f) * N + j];
              dbias[row % H * d + f] += slope * w[(own * d + f) * N + j];
            }
          }
        }
      }
}

} // namespace weft::reference
