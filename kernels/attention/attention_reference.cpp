#include "kernels/attention/attention_reference.hpp"
#include <algorithm>
#include <cmath>
#include <limits>

namespace weft::reference {
namespace {

double dot(const double* a, const double* b, std::int64_t n) {
  double sum = 0;
  for (std::int64_t e = 0; e < n; ++e)
    sum += a[e] * b[e];
  return sum;
}

/// Rows of one (b, h).
struct Head {
  const Attention& a;
  std::int64_t b, h;
  std::int64_t key(std::int64_t i) const { return ((b * a.length + i) * a.heads + h) * a.key_width; }
  std::int64_t value(std::int64_t i) const { return ((b * a.length + i) * a.heads + h) * a.value_width; }
  const std::vector<int>& keys(std::int64_t i) const { return a.keys[h % a.keys.size()][i]; }
};

/// p over the keys of query i, and its log-sum-exp.
double probabilities(const Head& head, std::int64_t i, const double* q, const double* k, std::vector<double>& p) {
  const std::vector<int>& keys = head.keys(i);
  double maximum = -std::numeric_limits<double>::infinity(), sum = 0;
  p.resize(keys.size());
  for (std::size_t n = 0; n < keys.size(); ++n) {
    p[n] = dot(q + head.key(i), k + head.key(keys[n]), head.a.key_width) /
           std::sqrt(static_cast<double>(head.a.key_width));
    maximum = std::max(maximum, p[n]);
  }
  for (double& x : p)
    sum += x = std::exp(x - maximum);
  for (double& x : p)
    x /= sum;
  return keys.empty() ? maximum : maximum + std::log(sum);
}

} // namespace

void attention_forward(const Attention& a, double* out, double* lse, const double* q, const double* k,
                       const double* v) {
  std::vector<double> p;
  for (std::int64_t b = 0; b < a.batch; ++b)
    for (std::int64_t h = 0; h < a.heads; ++h)
      for (std::int64_t i = 0; i < a.length; ++i) {
        const Head head{a, b, h};
        lse[(b * a.heads + h) * a.length + i] = probabilities(head, i, q, k, p);
        double* to = out + head.value(i);
        std::fill(to, to + a.value_width, 0.0);
        for (std::size_t n = 0; n < p.size(); ++n)
          for (std::int64_t e = 0; e < a.value_width; ++e)
            to[e] += p[n] * v[head.value(head.keys(i)[n]) + e];
      }
}

void attention_backward(const Attention& a, double* dq, double* dk, double* dv, const double* dout, const double* q,
                        const double* k, const double* v) {
  const std::int64_t rows = a.batch * a.length * a.heads;
  std::fill(dq, dq + rows * a.key_width, 0.0);
  std::fill(dk, dk + rows * a.key_width, 0.0);
  std::fill(dv, dv + rows * a.value_width, 0.0);
  const double scale = 1 / std::sqrt(static_cast<double>(a.key_width));
  std::vector<double> p, dp;
  for (std::int64_t b = 0; b < a.batch; ++b)
    for (std::int64_t h = 0; h < a.heads; ++h)
      for (std::int64_t i = 0; i < a.length; ++i) {
        const Head head{a, b, h};
        probabilities(head, i, q, k, p);
        const double* slope = dout + head.value(i);
        dp.resize(p.size());
        double mean = 0; // sum over the keys of p dp
        for (std::size_t n = 0; n < p.size(); ++n) {
          dp[n] = dot(slope, v + head.value(head.keys(i)[n]), a.value_width);
          mean += p[n] * dp[n];
        }
        for (std::size_t n = 0; n < p.size(); ++n) {
          const int j = head.keys(i)[n];
          const double ds = p[n] * (dp[n] - mean) * scale;
          for (std::int64_t e = 0; e < a.value_width; ++e)
            dv[head.value(j) + e] += p[n] * slope[e];
          for (std::int64_t e = 0; e < a.key_width; ++e) {
            dq[head.key(i) + e] += ds * k[head.key(j) + e];
            dk[head.key(j) + e] += ds * q[head.key(i) + e];
          }
        }
      }
}

} // namespace weft::reference
