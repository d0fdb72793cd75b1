#include "kernels/lsh/lsh_attention.hpp"
#include <algorithm>
#include <cmath>
#include <numeric>

namespace weft::reference {

namespace {
/// The sorted positions of one round, cut into chunks; of one (s, h).
struct Round {
  std::vector<std::vector<int>> chunks;
  std::vector<std::size_t> chunk_of;
  const int* bucket;
};

std::vector<Round> rounds_of(const Lsh& lsh, std::int64_t s, std::int64_t h) {
  const auto N = static_cast<std::size_t>(lsh.length);
  std::vector<Round> rounds;
  for (std::int64_t r = 0; r < lsh.rule.rounds; ++r) {
    Round round;
    round.bucket = lsh.buckets.data() + ((s * lsh.heads + h) * lsh.rule.rounds + r) * lsh.length;
    std::vector<int> sorted(N);
    std::iota(sorted.begin(), sorted.end(), 0);
    std::stable_sort(sorted.begin(), sorted.end(), [&](int a, int b) { return round.bucket[a] < round.bucket[b]; });
    round.chunk_of.resize(N);
    for (std::size_t slot = 0; slot < N; ++slot) {
      const std::size_t c = slot / static_cast<std::size_t>(lsh.rule.chunk);
      round.chunks.resize(c + 1);
      round.chunks[c].push_back(sorted[slot]);
      round.chunk_of[static_cast<std::size_t>(sorted[slot])] = c;
    }
    rounds.push_back(std::move(round));
  }
  return rounds;
}

bool is_real(const Lsh& lsh, std::int64_t s, std::int64_t i) {
  return lsh.seen.empty() || lsh.seen[static_cast<std::size_t>(s * lsh.length + i)];
}

std::vector<int> keys_in(const Lsh& lsh, const std::vector<Round>& rounds, std::int64_t s, std::int64_t i,
                         std::int64_t r) {
  const LshRule& rule = lsh.rule;
  std::int64_t real = 0;
  for (std::int64_t j = 0; j < lsh.length; ++j)
    real += is_real(lsh, s, j);
  const std::size_t last = real == 0 ? 0 : static_cast<std::size_t>((real - 1) / rule.chunk);
  std::vector<int> keys;
  std::vector<bool> taken(static_cast<std::size_t>(lsh.length), false);
  const auto meet = [&](const Round& own, const Round& of, std::size_t chunk) {
    for (const int j : of.chunks[chunk]) {
      const bool allowed = is_real(lsh, s, j) && (!rule.causal || j <= i) && (!rule.self_last || j != i) &&
                           (rule.other_buckets || (&own == &of && own.bucket[j] == own.bucket[i]));
      if (allowed && (rule.duplicates || !taken[static_cast<std::size_t>(j)]))
        keys.push_back(j);
      if (allowed)
        taken[static_cast<std::size_t>(j)] = true;
    }
  };
  for (std::size_t n = 0; n < rounds.size(); ++n) {
    if (r >= 0 && n != static_cast<std::size_t>(r))
      continue;
    const std::size_t c = rounds[n].chunk_of[static_cast<std::size_t>(i)];
    meet(rounds[n], rounds[n], c);
    if (c > 0)
      meet(rounds[n], rounds[n], c - 1);
    else if (rule.cyclic && real > 0)
      meet(rounds[n], rounds[(n + rounds.size() - 1) % rounds.size()], last);
  }
  if (keys.empty() && rule.self_last && is_real(lsh, s, i))
    keys.push_back(static_cast<int>(i));
  return keys;
}

/// The lists that the softmaxes of a query run over: one of all rounds, or one of each.
std::vector<std::vector<int>> lists_of(const Lsh& lsh, const std::vector<Round>& rounds, std::int64_t s,
                                       std::int64_t i) {
  if (!lsh.rule.mean_of_rounds)
    return {keys_in(lsh, rounds, s, i, -1)};
  std::vector<std::vector<int>> lists;
  for (std::int64_t r = 0; r < lsh.rule.rounds; ++r)
    lists.push_back(keys_in(lsh, rounds, s, i, r));
  return lists;
}

/// The softmax of query i over its keys.
struct Weights {
  std::vector<int> keys;
  std::vector<double> p;
};
Weights weights_of(const Lsh& lsh, const std::vector<int>& keys, std::int64_t s, std::int64_t h, std::int64_t i,
                   const double* q, const double* k) {
  Weights w{keys, {}};
  double largest = -INFINITY, sum = 0;
  for (const int j : keys) {
    double score = 0;
    for (std::int64_t e = 0; e < lsh.key_width; ++e)
      score += q[((s * lsh.length + i) * lsh.heads + h) * lsh.key_width + e] *
               k[((s * lsh.length + j) * lsh.heads + h) * lsh.key_width + e];
    w.p.push_back(score * static_cast<double>(lsh.rule.scale));
    largest = std::max(largest, w.p.back());
  }
  for (double& x : w.p)
    sum += x = std::exp(x - largest);
  for (double& x : w.p)
    x /= sum;
  return w;
}

/// each(s, h, i, lists) for every query.
template <class Each>
void for_queries(const Lsh& lsh, const Each& each) {
  for (std::int64_t s = 0; s < lsh.sequences; ++s)
    for (std::int64_t h = 0; h < lsh.heads; ++h) {
      const std::vector<Round> rounds = rounds_of(lsh, s, h);
      for (std::int64_t i = 0; i < lsh.length; ++i)
        each(s, h, i, lists_of(lsh, rounds, s, i));
    }
}
} // namespace

std::vector<int> lsh_keys(const Lsh& lsh, std::int64_t s, std::int64_t h, std::int64_t i, std::int64_t r) {
  return keys_in(lsh, rounds_of(lsh, s, h), s, i, r);
}

void lsh_attention_forward(const Lsh& lsh, double* out, const double* q, const double* k, const double* v) {
  const std::int64_t H = lsh.heads, N = lsh.length, Ev = lsh.value_width;
  std::fill(out, out + lsh.sequences * N * H * Ev, 0.0);
  for_queries(lsh, [&](std::int64_t s, std::int64_t h, std::int64_t i, const std::vector<std::vector<int>>& lists) {
    for (const std::vector<int>& list : lists) {
      const Weights w = weights_of(lsh, list, s, h, i, q, k);
      for (std::size_t n = 0; n < w.keys.size(); ++n)
        for (std::int64_t e = 0; e < Ev; ++e)
          out[((s * N + i) * H + h) * Ev + e] +=
              w.p[n] * v[((s * N + w.keys[n]) * H + h) * Ev + e] / static_cast<double>(lists.size());
    }
  });
}

void lsh_attention_backward(const Lsh& lsh, double* dq, double* dk, double* dv, const double* dout, const double* q,
                            const double* k, const double* v) {
  const std::int64_t H = lsh.heads, N = lsh.length, E = lsh.key_width, Ev = lsh.value_width;
  std::fill(dq, dq + lsh.sequences * N * H * E, 0.0);
  std::fill(dk, dk + lsh.sequences * N * H * E, 0.0);
  std::fill(dv, dv + lsh.sequences * N * H * Ev, 0.0);
  for_queries(lsh, [&](std::int64_t s, std::int64_t h, std::int64_t i, const std::vector<std::vector<int>>& lists) {
    const std::int64_t query = (s * N + i) * H + h;
    const double share = 1.0 / static_cast<double>(lists.size()), scale = static_cast<double>(lsh.rule.scale);
    for (const std::vector<int>& list : lists) {
      const Weights w = weights_of(lsh, list, s, h, i, q, k);
      std::vector<double> dp(w.keys.size(), 0.0);
      double mean = 0;
      for (std::size_t n = 0; n < w.keys.size(); ++n) {
        const std::int64_t key = (s * N + w.keys[n]) * H + h;
        for (std::int64_t e = 0; e < Ev; ++e) {
          dp[n] += share * dout[query * Ev + e] * v[key * Ev + e];
          dv[key * Ev + e] += share * w.p[n] * dout[query * Ev + e];
        }
        mean += w.p[n] * dp[n];
      }
      for (std::size_t n = 0; n < w.keys.size(); ++n) {
        const std::int64_t key = (s * N + w.keys[n]) * H + h;
        const double ds = scale * w.p[n] * (dp[n] - mean);
        for (std::int64_t e = 0; e < E; ++e) {
          dq[query * E + e] += ds * k[key * E + e];
          dk[key * E + e] += ds * q[query * E + e];
        }
      }
    }
  });
}

} // namespace weft::reference
