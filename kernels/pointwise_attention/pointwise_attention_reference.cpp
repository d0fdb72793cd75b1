#include "kernels/common/dot_reference.hpp"
#include "kernels/pointwise_attention/pointwise_attention.hpp"
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <numbers>

namespace weft::reference {

namespace {

constexpr double mu = 0.707107, sigma = 0.282095;

double weight_of(PointFunction f, double s) {
  if (f == PointFunction::squared_relu)
    return s > 0 ? s * s : 0;
  return (1 + std::erf((s - mu) / (sigma * std::numbers::sqrt2))) / 2;
}
double slope_of(PointFunction f, double s) {
  if (f == PointFunction::squared_relu)
    return s > 0 ? 2 * s : 0;
  const double z = (s - mu) / sigma;
  return std::exp(-z * z / 2) / (sigma * std::sqrt(2 * std::numbers::pi));
}

bool sees(const PointwiseAttention& c, std::int64_t b, std::int64_t i, std::int64_t j) {
  const std::int64_t C = c.chunk > 0 ? c.chunk : c.length, words = (c.length + 31) / 32;
  return i / C == j / C && (!c.causal || j <= i) && (!c.seen || (c.seen[b * words + j / 32] >> (j % 32) & 1u) != 0);
}

/// body(b, i, j, number of keys of i) for every pair that is seen.
template <class Body>
void each_pair(const PointwiseAttention& c, const Body& body) {
  for (std::int64_t b = 0; b < c.sequences; ++b)
    for (std::int64_t i = 0; i < c.length; ++i) {
      double keys = 0;
      for (std::int64_t j = 0; j < c.length; ++j)
        keys += sees(c, b, i, j);
      for (std::int64_t j = 0; j < c.length; ++j)
        if (sees(c, b, i, j))
          body(b, i, j, keys);
    }
}

double factor(const PointwiseAttention& c, std::int64_t b, std::int64_t i, std::int64_t j) {
  if (c.dropout.probability == 0)
    return 1;
  const std::int64_t n = i * (c.dropout_stride > 0 ? c.dropout_stride : c.length) + j;
  const std::uint32_t random = random4(key_of(c.dropout, b), static_cast<std::uint32_t>(n / 4)).x[n % 4];
  return dropout_keeps(random, dropout_threshold(c.dropout.probability)) ? 1 / (1 - double{c.dropout.probability}) : 0;
}

double score(const PointwiseAttention& c, std::int64_t b, std::int64_t i, std::int64_t j, double keys, const double* q,
             const double* k, const double* bias) {
  const std::int64_t Z = c.key_width, row = b * c.length;
  const double s = dot(q + (row + i) * Z, k + (row + j) * Z, Z) / keys;
  return std::abs(j - i) < c.reach ? s + bias[c.reach - 1 + j - i] : s;
}

} // namespace

void pointwise_attention_forward(const PointwiseAttention& c, double* out, const double* q, const double* k,
                                 const double* v, const double* bias) {
  const std::int64_t V = c.value_width;
  std::fill_n(out, c.sequences * c.length * V, 0.0);
  each_pair(c, [&](std::int64_t b, std::int64_t i, std::int64_t j, double keys) {
    const double w = weight_of(c.function, score(c, b, i, j, keys, q, k, bias)) * factor(c, b, i, j);
    for (std::int64_t e = 0; e < V; ++e)
      out[(b * c.length + i) * V + e] += w * v[(b * c.length + j) * V + e];
  });
}

void pointwise_attention_backward(const PointwiseAttention& c, double* dq, double* dk, double* dv, double* dbias,
                                  const double* dout, const double* q, const double* k, const double* v,
                                  const double* bias) {
  const std::int64_t Z = c.key_width, V = c.value_width, R = c.sequences * c.length;
  std::fill_n(dq, R * Z, 0.0);
  std::fill_n(dk, R * Z, 0.0);
  std::fill_n(dv, R * V, 0.0);
  std::fill_n(dbias, std::max<std::int64_t>(0, 2 * c.reach - 1), 0.0);
  each_pair(c, [&](std::int64_t b, std::int64_t i, std::int64_t j, double keys) {
    const std::int64_t row = b * c.length + i, key = b * c.length + j;
    const double s = score(c, b, i, j, keys, q, k, bias), kept = factor(c, b, i, j);
    const double ds = slope_of(c.function, s) * kept * dot(dout + row * V, v + key * V, V);
    for (std::int64_t e = 0; e < V; ++e)
      dv[key * V + e] += weight_of(c.function, s) * kept * dout[row * V + e];
    for (std::int64_t e = 0; e < Z; ++e) {
      dq[row * Z + e] += ds * k[key * Z + e] / keys;
      dk[key * Z + e] += ds * q[row * Z + e] / keys;
    }
    if (std::abs(j - i) < c.reach)
      dbias[c.reach - 1 + j - i] += ds;
  });
}

} // namespace weft::reference
