#include "kernels/attention/released_sets.hpp"
#include "kernels/common/dot_reference.hpp"
#include <algorithm>
#include <cmath>
#include <vector>

namespace weft::reference {
namespace {

/// One sequence and head. Slots of sets, as the released code counts them; rows behind the sequence are `nothing`.
struct Slots {
  const ReleasedLocal& a;
  const std::uint32_t* seen;
  std::int64_t b, h;
  std::vector<double> nothing;

  std::int64_t position(std::int64_t set, std::int64_t slot) const { return slot * a.sets.sets + set; }
  bool real(std::int64_t set, std::int64_t slot) const {
    const std::int64_t at = set * a.sets.block + slot, words = (a.sets.length + 31) / 32;
    return !seen || at >= a.sets.length || (seen[b * words + at / 32] >> (at % 32) & 1u) != 0;
  }
  bool exists(std::int64_t set, std::int64_t slot) const { return position(set, slot) < a.sets.length; }
  std::int64_t row(std::int64_t set, std::int64_t slot) const {
    return (b * a.sets.length + position(set, slot)) * a.heads + h;
  }
  const double* at(const double* x, std::int64_t width, std::int64_t set, std::int64_t slot) const {
    return exists(set, slot) ? x + row(set, slot) * width : nothing.data();
  }
  bool uniform(std::int64_t set, std::int64_t slot) const { return !real(set, slot); }
  /// Weights of the query at this slot over its set.
  std::vector<double> weights(std::int64_t set, std::int64_t slot, const double* q, const double* k) const {
    std::vector<double> w(static_cast<std::size_t>(a.sets.block), 0.0);
    if (uniform(set, slot)) {
      std::fill(w.begin(), w.end(), 1 / static_cast<double>(a.sets.block));
      return w;
    }
    double largest = -INFINITY, sum = 0;
    for (int pass = 0; pass < 2; ++pass)
      for (std::int64_t j = 0; j < a.sets.block; ++j) {
        if (!real(set, j))
          continue;
        double& x = w[static_cast<std::size_t>(j)];
        if (pass == 0) {
          x = dot(at(q, a.key_width, set, slot), at(k, a.key_width, set, j), a.key_width) /
              std::sqrt(static_cast<double>(a.key_width));
          largest = std::max(largest, x);
        } else {
          sum += x = std::exp(x - largest);
        }
      }
    for (double& x : w)
      x /= sum;
    return w;
  }
};

template <class Work>
void for_queries(const ReleasedLocal& a, const std::uint32_t* seen, const Work& work) {
  for (std::int64_t b = 0; b < a.sequences; ++b)
    for (std::int64_t h = 0; h < a.heads; ++h) {
      const Slots slots{a, seen, b, h, std::vector<double>(static_cast<std::size_t>(a.key_width + a.value_width), 0.0)};
      for (std::int64_t set = 0; set < a.sets.sets; ++set)
        for (std::int64_t slot = 0; slot < a.sets.block; ++slot)
          if (slots.exists(set, slot))
            work(slots, set, slot);
    }
}

} // namespace

void released_local_forward(const ReleasedLocal& a, double* out, const double* q, const double* k, const double* v,
                            const std::uint32_t* seen) {
  const std::int64_t Ev = a.value_width;
  for_queries(a, seen, [&](const Slots& slots, std::int64_t set, std::int64_t slot) {
    double* to = out + slots.row(set, slot) * Ev;
    std::fill(to, to + Ev, 0.0);
    const std::vector<double> w = slots.weights(set, slot, q, k);
    for (std::int64_t j = 0; j < a.sets.block; ++j)
      for (std::int64_t e = 0; e < Ev; ++e)
        to[e] += w[static_cast<std::size_t>(j)] * slots.at(v, Ev, set, j)[e];
  });
}

void released_local_backward(const ReleasedLocal& a, double* dq, double* dk, double* dv, const double* dout,
                             const double* q, const double* k, const double* v, const std::uint32_t* seen) {
  const std::int64_t E = a.key_width, Ev = a.value_width, rows = a.sequences * a.sets.length * a.heads;
  std::fill(dq, dq + rows * E, 0.0);
  std::fill(dk, dk + rows * E, 0.0);
  std::fill(dv, dv + rows * Ev, 0.0);
  const double scale = 1 / std::sqrt(static_cast<double>(E));
  for_queries(a, seen, [&](const Slots& slots, std::int64_t set, std::int64_t slot) {
    const std::int64_t i = slots.row(set, slot);
    const std::vector<double> w = slots.weights(set, slot, q, k);
    std::vector<double> dw(w.size());
    double mean = 0;
    for (std::int64_t j = 0; j < a.sets.block; ++j) {
      const auto n = static_cast<std::size_t>(j);
      dw[n] = dot(dout + i * Ev, slots.at(v, Ev, set, j), Ev);
      mean += w[n] * dw[n];
      for (std::int64_t e = 0; e < Ev && slots.exists(set, j); ++e)
        dv[slots.row(set, j) * Ev + e] += w[n] * dout[i * Ev + e];
    }
    for (std::int64_t j = 0; j < a.sets.block && !slots.uniform(set, slot); ++j) {
      const auto n = static_cast<std::size_t>(j);
      const double ds = w[n] * (dw[n] - mean) * scale;
      for (std::int64_t e = 0; e < E; ++e) {
        dq[i * E + e] += ds * slots.at(k, E, set, j)[e];
        if (slots.exists(set, j))
          dk[slots.row(set, j) * E + e] += ds * q[i * E + e];
      }
    }
  });
}

} // namespace weft::reference
