#include "kernels/sinkhorn/summed.hpp"
#include <algorithm>
#include <cmath>
#include <vector>

namespace weft::reference {
namespace {

/// One sequence and head.
struct Head {
  const SummedShape& a;
  std::int64_t s, h;
  std::vector<double> keys, values; ///< (b, E), (b, Ev)

  std::int64_t row(std::int64_t t) const { return (s * a.length + t) * a.heads + h; }

  std::vector<double> summed(const double* x, std::int64_t width) const {
    std::vector<double> sums(static_cast<std::size_t>(a.block * width), 0.0);
    for (std::int64_t t = 0; t < a.length; ++t)
      for (std::int64_t e = 0; e < width; ++e)
        sums[static_cast<std::size_t>(t / a.sets() * width + e)] += x[row(t) * width + e];
    return sums;
  }
  bool pair(const std::uint32_t* seen, std::int64_t slot, std::int64_t j) const {
    const auto real = [&](std::int64_t i) { return (seen[s * ((a.length + 31) / 32) + i / 32] >> (i % 32) & 1u) != 0; };
    bool any = !seen;
    for (std::int64_t c = 0; c < a.sets() && !any; ++c)
      any = real(c * a.block + slot) && real(c * a.block + j);
    return any;
  }
  double factor(const Dropout& dropout, std::int64_t t, std::int64_t j) const {
    if (dropout.probability == 0)
      return 1;
    const std::int64_t n = (h * a.length + t) * a.block + j;
    const std::uint32_t random = random4(key_of(dropout, s), static_cast<std::uint32_t>(n / 4)).x[n % 4];
    return dropout_keeps(random, dropout_threshold(dropout.probability)) ? 1 / (1 - double{dropout.probability}) : 0;
  }
  /// Weights of query t, and the factors on them; false: uniform ones.
  bool weigh(std::int64_t t, const double* q, const std::uint32_t* seen, const Dropout& dropout, std::vector<double>& w,
             std::vector<double>& factors) const {
    const std::int64_t b = a.block, E = a.key_width;
    double largest = -INFINITY, sum = 0;
    w.assign(static_cast<std::size_t>(b), -INFINITY);
    factors.assign(static_cast<std::size_t>(b), 1.0);
    for (std::int64_t j = 0; j < b; ++j) {
      if (!pair(seen, t / a.sets(), j))
        continue;
      double score = 0;
      for (std::int64_t e = 0; e < E; ++e)
        score += q[row(t) * E + e] * keys[static_cast<std::size_t>(j * E + e)];
      w[static_cast<std::size_t>(j)] = score / std::sqrt(static_cast<double>(E));
      factors[static_cast<std::size_t>(j)] = factor(dropout, t, j);
      largest = std::max(largest, w[static_cast<std::size_t>(j)]);
    }
    if (largest == -INFINITY) {
      std::fill(w.begin(), w.end(), 1 / static_cast<double>(b));
      return false;
    }
    for (double& x : w)
      sum += x = std::exp(x - largest);
    for (double& x : w)
      x /= sum;
    return true;
  }
};

template <class Work>
void for_heads(const SummedShape& a, const double* k, const double* v, const Work& work) {
  for (std::int64_t s = 0; s < a.sequences; ++s)
    for (std::int64_t h = 0; h < a.heads; ++h) {
      Head head{a, s, h, {}, {}};
      head.keys = head.summed(k, a.key_width);
      head.values = head.summed(v, a.value_width);
      work(head);
    }
}

} // namespace

void summed_forward(const SummedShape& a, double* out, const double* q, const double* k, const double* v,
                    const std::uint32_t* seen, const Dropout& dropout) {
  std::vector<double> w, factors;
  for_heads(a, k, v, [&](const Head& head) {
    for (std::int64_t t = 0; t < a.length; ++t) {
      head.weigh(t, q, seen, dropout, w, factors);
      for (std::int64_t j = 0; j < a.block; ++j)
        for (std::int64_t e = 0; e < a.value_width; ++e)
          out[head.row(t) * a.value_width + e] += factors[static_cast<std::size_t>(j)] *
                                                  w[static_cast<std::size_t>(j)] *
                                                  head.values[static_cast<std::size_t>(j * a.value_width + e)];
    }
  });
}

void summed_backward(const SummedShape& a, double* dq, double* dk, double* dv, const double* dout, const double* q,
                     const double* k, const double* v, const std::uint32_t* seen, const Dropout& dropout) {
  const std::int64_t E = a.key_width, Ev = a.value_width, b = a.block;
  const double scale = 1 / std::sqrt(static_cast<double>(E));
  std::vector<double> w, factors, dw(static_cast<std::size_t>(b));
  for_heads(a, k, v, [&](const Head& head) {
    std::vector<double> dkeys(head.keys.size(), 0.0), dvalues(head.values.size(), 0.0);
    for (std::int64_t t = 0; t < a.length; ++t) {
      const bool some = head.weigh(t, q, seen, dropout, w, factors);
      const double *slope = dout + head.row(t) * Ev, *query = q + head.row(t) * E;
      double mean = 0;
      for (std::int64_t j = 0; j < b; ++j) {
        const auto n = static_cast<std::size_t>(j);
        dw[n] = 0;
        for (std::int64_t e = 0; e < Ev; ++e) {
          dw[n] += factors[n] * slope[e] * head.values[static_cast<std::size_t>(j * Ev + e)];
          dvalues[static_cast<std::size_t>(j * Ev + e)] += factors[n] * w[n] * slope[e];
        }
        mean += w[n] * dw[n];
      }
      for (std::int64_t j = 0; j < b && some; ++j) {
        const auto n = static_cast<std::size_t>(j);
        const double ds = w[n] * (dw[n] - mean) * scale;
        for (std::int64_t e = 0; e < E; ++e) {
          dq[head.row(t) * E + e] += ds * head.keys[static_cast<std::size_t>(j * E + e)];
          dkeys[static_cast<std::size_t>(j * E + e)] += ds * query[e];
        }
      }
    }
    for (std::int64_t t = 0; t < a.length; ++t) {
      for (std::int64_t e = 0; e < E; ++e)
        dk[head.row(t) * E + e] += dkeys[static_cast<std::size_t>(t / a.sets() * E + e)];
      for (std::int64_t e = 0; e < Ev; ++e)
        dv[head.row(t) * Ev + e] += dvalues[static_cast<std::size_t>(t / a.sets() * Ev + e)];
    }
  });
}

} // namespace weft::reference
