#include "kernels/linear_attention/linear_attention.hpp"
#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

namespace weft::reference {

namespace {

/// w_ij of one sequence and head, with the offsets of the rows i and j; for every pair that counts.
using Pair = std::function<void(std::int64_t i, std::int64_t j, double weight)>;

struct Rows {
  const LinearAttention& c;
  std::int64_t b, h;
  std::int64_t operator()(std::int64_t i) const { return (b * c.length + i) * c.heads + h; }
};

bool counts(const LinearAttention& c, std::int64_t b, std::int64_t i, std::int64_t j) {
  const std::int64_t words = (c.length + 31) / 32;
  return (!c.causal || j <= i) && (!c.seen || (c.seen[b * words + j / 32] >> (j % 32) & 1u) != 0);
}

void for_pairs(const Rows& row, const double* phi_q, const double* phi_k, const Pair& pair) {
  const LinearAttention& c = row.c;
  for (std::int64_t i = 0; i < c.length; ++i)
    for (std::int64_t j = 0; j < c.length; ++j)
      if (counts(c, row.b, i, j)) {
        double weight = 0;
        for (std::int64_t m = 0; m < c.features; ++m)
          weight += phi_q[row(i) * c.features + m] * phi_k[row(j) * c.features + m];
        pair(i, j, weight);
      }
}

/// Denominators with their guard, and out.
std::vector<double> forward_of(const Rows& row, double* out, const double* phi_q, const double* phi_k,
                               const double* v) {
  const LinearAttention& c = row.c;
  std::vector<double> denominators(static_cast<std::size_t>(c.length), c.guard);
  for (std::int64_t i = 0; i < c.length; ++i)
    std::fill_n(out + row(i) * c.value_width, c.value_width, 0.0);
  for_pairs(row, phi_q, phi_k, [&](std::int64_t i, std::int64_t j, double weight) {
    denominators[static_cast<std::size_t>(i)] += weight;
    for (std::int64_t e = 0; e < c.value_width; ++e)
      out[row(i) * c.value_width + e] += weight * v[row(j) * c.value_width + e];
  });
  for (std::int64_t i = 0; i < c.length; ++i)
    for (std::int64_t e = 0; e < c.value_width; ++e) {
      const double d = denominators[static_cast<std::size_t>(i)];
      double& o = out[row(i) * c.value_width + e];
      o = d == 0 ? 0 : o / d;
    }
  return denominators;
}

} // namespace

void linear_attention_forward(const LinearAttention& call, double* out, const double* phi_q, const double* phi_k,
                              const double* v) {
  for (std::int64_t b = 0; b < call.batch; ++b)
    for (std::int64_t h = 0; h < call.heads; ++h)
      forward_of({call, b, h}, out, phi_q, phi_k, v);
}

void linear_attention_backward(const LinearAttention& call, double* dphi_q, double* dphi_k, double* dv,
                               const double* dout, const double* phi_q, const double* phi_k, const double* v) {
  const std::int64_t M = call.features, Ev = call.value_width, rows = call.batch * call.length * call.heads;
  std::fill_n(dphi_q, rows * M, 0.0);
  std::fill_n(dphi_k, rows * M, 0.0);
  std::fill_n(dv, rows * Ev, 0.0);
  std::vector<double> out(static_cast<std::size_t>(rows * Ev));
  for (std::int64_t b = 0; b < call.batch; ++b)
    for (std::int64_t h = 0; h < call.heads; ++h) {
      const Rows row{call, b, h};
      const std::vector<double> denominators = forward_of(row, out.data(), phi_q, phi_k, v);
      for_pairs(row, phi_q, phi_k, [&](std::int64_t i, std::int64_t j, double weight) {
        const double d = denominators[static_cast<std::size_t>(i)];
        if (d == 0)
          return;
        double dweight = 0; // of out_i = numerator_i / D_i by w_ij
        for (std::int64_t e = 0; e < Ev; ++e) {
          const double g = dout[row(i) * Ev + e] / d;
          dweight += g * (v[row(j) * Ev + e] - out[static_cast<std::size_t>(row(i) * Ev + e)]);
          dv[row(j) * Ev + e] += weight * g;
        }
        for (std::int64_t m = 0; m < M; ++m) {
          dphi_q[row(i) * M + m] += dweight * phi_k[row(j) * M + m];
          dphi_k[row(j) * M + m] += dweight * phi_q[row(i) * M + m];
        }
      });
    }
}

void features_forward(FeatureMap map, double floor, double* phi, const double* x, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i)
    phi[i] = map == FeatureMap::relu ? std::max(x[i], 0.0) + floor : x[i] > 0 ? x[i] + 1 : std::exp(x[i]);
}

void features_backward(FeatureMap map, double* dx, const double* dphi, const double* x, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i)
    dx[i] = x[i] > 0 ? dphi[i] : map == FeatureMap::relu ? 0.0 : dphi[i] * std::exp(x[i]);
}

} // namespace weft::reference
