// Attention evaluated row by row in double precision, with chosen intermediate numbers rounded to the storage type:
// what the error of a fast version in low precision is measured against.
#pragma once
#include "tests/kernels/attention_support.hpp"
#include <algorithm>

namespace weft::test {

/// What an evaluation rounds to T on its way from inputs in T to results in T.
enum class Roundings {
  results,   ///< out, dq, dk, dv alone: tiles are converted to fp32 (avx2, avx512, the team version)
  factors,   ///< also the left factors of the second products, as these multiply numbers of T (avx512_bf16):
             ///< exp(s - max) before v, p before dout, ds before k and q; sums and quotients take them unrounded
  everything ///< every matrix: s, p, dp and ds are stored as T, and nothing else is kept
};

template <class T>
class PlainAttention {
 public:
  /// c must outlive the object.
  PlainAttention(const AttentionCase<T>& c, Roundings roundings) : c_(c), roundings_(roundings) {}

  /// Everything but lse. delta_i = dout_i . out_i takes out as it is stored, and sum_j p_ij dp_ij where every matrix
  /// is.
  AttentionResult run() {
    r_ = AttentionResult{};
    r_.out.resize(c_.value_numbers());
    r_.dv.resize(c_.v.size());
    r_.dq.resize(c_.key_numbers());
    r_.dk.resize(c_.k.size());
    r_.dtable.assign(c_.reference.table.size(), 0.0);
    const AttentionShape& s = c_.shape;
    for (std::int64_t b = 0; b < s.batch; ++b)
      for (std::int64_t h = 0; h < s.heads; ++h)
        for (std::int64_t i = 0; i < s.length; ++i)
          row(b, h, i);
    for (auto* x : {&r_.dq, &r_.dk, &r_.dv})
      *x = rounded<T>(*x);
    if (!c_.distances.empty())
      r_.dtable = c_.by_distance(r_.dtable);
    return r_;
  }

 private:
  static double narrow(double x) { return load(store<T>(static_cast<float>(x))); }
  bool stores(Roundings least) const { return roundings_ >= least; }
  double narrow_from(Roundings least, double x) const { return stores(least) ? narrow(x) : x; }

  /// Row i of a tensor with `rows` rows of `width` per sequence and head.
  std::int64_t at(std::int64_t b, std::int64_t h, std::int64_t i, std::int64_t rows, std::int64_t width) const {
    return ((b * rows + i) * c_.shape.heads + h) * width;
  }
  std::int64_t key(std::int64_t b, std::int64_t h, std::int64_t j) const {
    return at(b, h, j, c_.reference.key_rows(), c_.shape.key_width);
  }
  std::int64_t value(std::int64_t b, std::int64_t h, std::int64_t j) const {
    return at(b, h, j, c_.reference.key_rows(), c_.shape.value_width);
  }
  std::int64_t query(std::int64_t b, std::int64_t h, std::int64_t i) const {
    return at(b, h, i, c_.shape.length, c_.shape.key_width);
  }
  std::int64_t output(std::int64_t b, std::int64_t h, std::int64_t i) const {
    return at(b, h, i, c_.shape.length, c_.shape.value_width);
  }
  std::size_t pair(std::int64_t h, std::int64_t i, std::int64_t j) const {
    return static_cast<std::size_t>((h * c_.reference.table_stride + i) * c_.reference.table_stride + j);
  }
  static double dot(const double* a, const double* b, std::int64_t n) {
    double sums[4] = {};
    for (std::int64_t e = 0; e < n; ++e)
      sums[e % 4] += a[e] * b[e];
    return (sums[0] + sums[2]) + (sums[1] + sums[3]);
  }
  static void add(double* to, double factor, const double* x, std::int64_t n) {
    for (std::int64_t e = 0; e < n; ++e)
      to[e] += factor * x[e];
  }

  void row(std::int64_t b, std::int64_t h, std::int64_t i) {
    const std::vector<int>& keys = c_.reference.keys[static_cast<std::size_t>(h) % c_.reference.keys.size()][i];
    if (keys.empty())
      return;
    const std::int64_t width = c_.shape.key_width, value_width = c_.shape.value_width;
    const double scale = width == 0 ? 1 : 1 / std::sqrt(static_cast<double>(width));
    const bool tabled = !c_.reference.table.empty();
    const double *q = c_.q.data() + query(b, h, i), *dout = c_.dout.data() + output(b, h, i);
    weight_.clear();
    dp_.clear();
    for (const int j : keys) {
      const double x = dot(q, c_.k.data() + key(b, h, j), width);
      const double score = narrow_from(Roundings::everything, narrow_from(Roundings::everything, x) * scale);
      weight_.push_back(tabled ? narrow_from(Roundings::everything, score + c_.reference.table[pair(h, i, j)]) : score);
      dp_.push_back(narrow_from(Roundings::everything, dot(dout, c_.v.data() + value(b, h, j), value_width)));
    }
    const double maximum = *std::max_element(weight_.begin(), weight_.end());
    double sum = 0;
    for (double& x : weight_)
      sum += x = std::exp(x - maximum);

    double* out = r_.out.data() + output(b, h, i);
    for (std::size_t n = 0; n < keys.size(); ++n) {
      const double p =
          stores(Roundings::everything) ? narrow(weight_[n] / sum) : narrow_from(Roundings::factors, weight_[n]) / sum;
      add(out, p, c_.v.data() + value(b, h, keys[n]), value_width);
    }
    std::transform(out, out + value_width, out, narrow);

    for (double& x : weight_)
      x = narrow_from(Roundings::everything, x / sum);
    const double delta = stores(Roundings::everything)
                             ? dot(weight_.data(), dp_.data(), static_cast<std::int64_t>(keys.size()))
                             : dot(dout, out, value_width);
    for (std::size_t n = 0; n < keys.size(); ++n) {
      const double p = narrow_from(Roundings::factors, weight_[n]);
      const double slope = weight_[n] * (dp_[n] - delta), ds = narrow_from(Roundings::factors, slope * scale);
      const std::int64_t to = key(b, h, keys[n]);
      if (tabled)
        r_.dtable[pair(h, i, keys[n])] += narrow_from(Roundings::everything, slope);
      add(r_.dv.data() + value(b, h, keys[n]), p, dout, value_width);
      add(r_.dq.data() + query(b, h, i), ds, c_.k.data() + to, width);
      add(r_.dk.data() + to, ds, q, width);
    }
  }

  const AttentionCase<T>& c_;
  Roundings roundings_;
  AttentionResult r_;
  std::vector<double> weight_, dp_; ///< of one row, over its keys
};

} // namespace weft::test
