#include "kernels/attention/attention_reference.hpp"
#include "kernels/common/dot_reference.hpp"
#include <algorithm>
#include <cmath>
#include <limits>

namespace weft::reference {
namespace {

double scale_of(const Attention& a) {
  return a.key_width == 0 ? 1 : a.scale != 0 ? a.scale : 1 / std::sqrt(static_cast<double>(a.key_width));
}

/// Rows of one (b, h), and what query i sees.
struct Head {
  const Attention& a;
  std::int64_t b, h;
  std::vector<int> keys = {};
  std::vector<double> p = {}, kept = {}; ///< per key the probability, and 0 or 1 / (1 - p) by dropout

  /// Where the rows of a query, of its output, of a key and of its value begin.
  std::int64_t query(std::int64_t i) const { return ((b * a.length + i) * a.heads + h) * a.key_width; }
  std::int64_t output(std::int64_t i) const { return ((b * a.length + i) * a.heads + h) * a.value_width; }
  std::int64_t key(std::int64_t j) const { return ((b * a.key_rows() + j) * a.heads + h) * a.key_width; }
  std::int64_t value(std::int64_t j) const { return ((b * a.key_rows() + j) * a.heads + h) * a.value_width; }
  std::int64_t pair(std::int64_t i, std::int64_t j) const { return (h * a.table_stride + i) * a.table_stride + j; }

  double factor(std::int64_t i, std::int64_t j) const {
    if (a.dropout.probability == 0)
      return 1;
    const std::int64_t longer = std::max(a.length, a.key_length);
    const std::int64_t stride = a.dropout_stride == 0 ? longer : a.dropout_stride, n = (h * stride + i) * stride + j;
    const std::uint32_t random = random4(key_of(a.dropout, b), static_cast<std::uint32_t>(n / 4)).x[n % 4];
    return dropout_keeps(random, dropout_threshold(a.dropout.probability)) ? 1 / (1 - double{a.dropout.probability})
                                                                           : 0;
  }

  /// Fills the three lists; returns the log-sum-exp.
  double look(std::int64_t i, const double* q, const double* k) {
    keys.clear();
    kept.clear();
    for (const int j : a.keys[h % a.keys.size()][i])
      if (a.seen.empty() || a.seen[b * a.key_rows() + j]) {
        keys.push_back(j);
        kept.push_back(factor(i, j));
      }
    double maximum = -std::numeric_limits<double>::infinity(), sum = 0;
    p.resize(keys.size());
    for (std::size_t n = 0; n < keys.size(); ++n) {
      p[n] = dot(q + query(i), k + key(keys[n]), a.key_width) * scale_of(a);
      if (!a.table.empty())
        p[n] += a.table[static_cast<std::size_t>(pair(i, keys[n]))];
      maximum = std::max(maximum, p[n]);
    }
    for (double& x : p)
      sum += x = std::exp(x - maximum);
    for (double& x : p)
      x /= sum;
    return keys.empty() ? maximum : maximum + std::log(sum);
  }
};

} // namespace

void attention_forward(const Attention& a, double* out, double* lse, const double* q, const double* k,
                       const double* v) {
  for (std::int64_t b = 0; b < a.batch; ++b)
    for (std::int64_t h = 0; h < a.heads; ++h) {
      Head head{a, b, h};
      for (std::int64_t i = 0; i < a.length; ++i) {
        lse[(b * a.heads + h) * a.length + i] = head.look(i, q, k);
        double* to = out + head.output(i);
        std::fill(to, to + a.value_width, 0.0);
        for (std::size_t n = 0; n < head.keys.size(); ++n)
          for (std::int64_t e = 0; e < a.value_width; ++e)
            to[e] += head.kept[n] * head.p[n] * v[head.value(head.keys[n]) + e];
      }
    }
}

void attention_backward(const Attention& a, double* dq, double* dk, double* dv, const double* dout, const double* q,
                        const double* k, const double* v) {
  const std::int64_t rows = a.batch * a.length * a.heads, key_rows = a.batch * a.key_rows() * a.heads;
  std::fill(dq, dq + rows * a.key_width, 0.0);
  std::fill(dk, dk + key_rows * a.key_width, 0.0);
  std::fill(dv, dv + key_rows * a.value_width, 0.0);
  const double scale = scale_of(a);
  std::vector<double> dp;
  for (std::int64_t b = 0; b < a.batch; ++b)
    for (std::int64_t h = 0; h < a.heads; ++h) {
      Head head{a, b, h};
      for (std::int64_t i = 0; i < a.length; ++i) {
        head.look(i, q, k);
        const double* slope = dout + head.output(i);
        dp.resize(head.keys.size());
        double mean = 0; // sum over the keys of p dp
        for (std::size_t n = 0; n < dp.size(); ++n) {
          dp[n] = head.kept[n] * dot(slope, v + head.value(head.keys[n]), a.value_width);
          mean += head.p[n] * dp[n];
        }
        for (std::size_t n = 0; n < dp.size(); ++n) {
          const int j = head.keys[n];
          const double slope_of_score = head.p[n] * (dp[n] - mean), ds = slope_of_score * scale;
          if (a.dtable)
            a.dtable[head.pair(i, j)] += slope_of_score;
          for (std::int64_t e = 0; e < a.value_width; ++e)
            dv[head.value(j) + e] += head.kept[n] * head.p[n] * slope[e];
          for (std::int64_t e = 0; e < a.key_width; ++e) {
            dq[head.query(i) + e] += ds * k[head.key(j) + e];
            dk[head.key(j) + e] += ds * q[head.query(i) + e];
          }
        }
      }
    }
}

} // namespace weft::reference
