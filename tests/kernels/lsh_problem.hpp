// Problems of attention over hash buckets, and one run of its kernels and of their reference.
#pragma once
#include "kernels/attention/attention_reference.hpp"
#include "kernels/lsh/hash.hpp"
#include "kernels/lsh/lsh_attention.hpp"
#include "tests/kernels/numbers.hpp"
#include "tests/kernels/support.hpp"
#include <algorithm>
#include <set>

namespace weft::testing {

using test::Guarded;
using test::widened;

template <class T>
std::vector<T> host_of(const Buffer<T>& buffer) {
  std::vector<T> values(static_cast<std::size_t>(buffer.size()));
  copy_to_host(values.data(), buffer.data(), buffer.bytes());
  return values;
}

/// A problem with random buckets: S sequences, some of whose last positions are not real.
struct Problem {
  std::string name;
  std::int64_t S, N, H, E, Ev;
  LshRule rule;
  int buckets;
  bool padded = false;

  AttentionShape shape() const { return {S, N, H, E, Ev, H * (E + Ev) + 3, H * Ev + 2}; }
  std::vector<bool> real() const {
    std::vector<bool> seen;
    for (std::int64_t s = 0; s < S; ++s)
      for (std::int64_t i = 0; i < N; ++i)
        seen.push_back(!padded || (s == 1 ? false : i < N - 5 - 3 * s && i % 7 != 2)); // sequence 1: nothing is real
    return seen;
  }
  std::vector<std::uint32_t> bits() const {
    const std::vector<bool> seen = real();
    std::vector<std::uint32_t> words(static_cast<std::size_t>(S * ((N + 31) / 32)), 0);
    for (std::int64_t s = 0; s < S; ++s)
      for (std::int64_t i = 0; i < N; ++i)
        if (seen[static_cast<std::size_t>(s * N + i)])
          words[static_cast<std::size_t>(s * ((N + 31) / 32) + i / 32)] |= 1u << (i % 32);
    return words;
  }
  std::vector<int> random_buckets() const {
    std::mt19937 random(7);
    const std::vector<bool> seen = real();
    std::vector<int> all;
    for (std::int64_t row = 0; row < S * H * rule.rounds; ++row)
      for (std::int64_t i = 0; i < N; ++i) {
        const int bucket = static_cast<int>(random() % static_cast<unsigned>(buckets));
        all.push_back(seen[static_cast<std::size_t>(row / (H * rule.rounds) * N + i)] ? bucket : buckets);
      }
    return all;
  }
  reference::Lsh reference() const { return {S, N, H, E, Ev, rule, random_buckets(), real()}; }
  std::int64_t keys() const { return S * N * H * E; }
  std::int64_t values() const { return S * N * H * Ev; }
};

inline LshRule rule_of(std::int64_t rounds, std::int64_t chunk, const std::string& flags) {
  LshRule r;
  const auto has = [&](const char* word) { return flags.find(word) != std::string::npos; };
  r.rounds = rounds;
  r.chunk = chunk;
  r.causal = has("causal");
  r.cyclic = !has("straight");
  r.other_buckets = has("others");
  r.duplicates = has("multi");
  r.self_last = !has("self");
  r.mean_of_rounds = has("mean");
  r.scale = 0.6f;
  return r;
}

inline std::vector<Problem> problems() {
  std::vector<Problem> all;
  const auto add = [&](std::int64_t S, std::int64_t N, std::int64_t H, std::int64_t E, std::int64_t Ev,
                       std::int64_t rounds, std::int64_t chunk, int buckets, const std::string& flags) {
    all.push_back({flags + " N " + std::to_string(N) + " rounds " + std::to_string(rounds) + " chunk " +
                       std::to_string(chunk) + " buckets " + std::to_string(buckets),
                   S, N, H, E, Ev, rule_of(rounds, chunk, flags), buckets, flags.find("padded") != std::string::npos});
  };
  for (const std::string direction : {"", "causal "})
    for (const std::string buckets : {"", "others "})
      for (const std::string count : {"", "multi "})
        for (const std::string ring : {"", "straight "}) {
          add(2, 45, 2, 5, 7, 3, 8, 4, direction + buckets + count + ring);
          add(3, 70, 1, 8, 4, 2, 16, 6, direction + buckets + count + ring + "padded");
        }
  add(1, 1, 1, 1, 1, 2, 4, 2, "causal");
  add(1, 40, 1, 4, 4, 1, 64, 3, "");       // one chunk, which is also the one before itself
  add(1, 40, 1, 4, 4, 1, 64, 3, "multi");  // and is counted twice
  add(2, 40, 1, 4, 4, 2, 64, 3, "others"); // every pair meets in the first half already
  add(1, 64, 1, 4, 4, 1, 16, 1, "");       // all in one bucket: the first chunk sees the last
  add(1, 64, 1, 4, 4, 1, 16, 1, "causal self");
  add(2, 50, 2, 4, 4, 4, 5, 20, "causal"); // many queries see themselves alone
  add(2, 50, 2, 4, 4, 4, 5, 20, "padded self");
  add(2, 60, 2, 4, 6, 3, 8, 4, "mean multi others");
  add(2, 60, 2, 4, 6, 3, 8, 9, "mean causal padded");
  add(1, 200, 2, 40, 24, 2, 64, 4, "causal");
  add(1, 700, 1, 3, 2, 2, 330, 2, "others causal"); // more than sixteen tiles in a list
  add(1, 560, 1, 3, 2, 1, 560, 1, "padded");
  return all;
}

/// Random tensors in the layout of `shape`, and the results.
template <class T>
struct Trial {
  explicit Trial(const Problem& problem, LshPath path = LshPath::best, const AttentionExtras& with = {})
      : problem(problem), shape(problem.shape()), q(rounded<T>(random_doubles(problem.keys(), 1))),
        k(rounded<T>(random_doubles(problem.keys(), 2))), v(rounded<T>(random_doubles(problem.values(), 3))),
        dout(rounded<T>(random_doubles(problem.values(), 4))), path(path), extras(with) {}
  /// (S N, stride) with `dense` in the first columns of the part.
  Guarded<T> laid_out(const Doubles& dense, std::int64_t width, std::int64_t stride) const {
    std::vector<T> all(static_cast<std::size_t>(problem.S * problem.N * stride), Guarded<T>::sentinel());
    for (std::int64_t row = 0; row < problem.S * problem.N; ++row)
      for (std::int64_t c = 0; c < width; ++c)
        all[static_cast<std::size_t>(row * stride + c)] =
            store<T>(static_cast<float>(dense[static_cast<std::size_t>(row * width + c)]));
    return Guarded<T>(all);
  }
  void go(bool backward = true) {
    const Problem& p = problem;
    const std::int64_t H = p.H;
    Guarded<T> dq_(laid_out(q, H * p.E, shape.row_stride_qkv)), dk_(laid_out(k, H * p.E, shape.row_stride_qkv)),
        dv_(laid_out(v, H * p.Ev, shape.row_stride_qkv)), dd_(laid_out(dout, H * p.Ev, shape.row_stride_out));
    Guarded<T> dest(static_cast<std::size_t>(p.S * p.N * shape.row_stride_out));
    Buffer<int> buckets = buffer_of(p.random_buckets());
    const std::int64_t lists = p.S * H * p.rule.rounds * p.N;
    Buffer<int> order(lists, "test"), chunk_of(lists, "test"), real(p.S, "test"),
        sorting(lsh_sort_workspace(shape, p.rule.rounds, p.buckets), "test");
    lsh_sort(order.data(), chunk_of.data(), real.data(), buckets.data(), shape, p.rule.rounds, p.buckets, p.rule.chunk,
             sorting.data());
    const LshOrder tables{buckets.data(), order.data(), chunk_of.data(), real.data()};
    Buffer<std::uint32_t> bits = buffer_of(p.bits());
    extras.seen = p.padded ? bits.data() : nullptr;
    Guarded<float> lse_(static_cast<std::size_t>(lsh_statistics(p.rule, shape)));
    Guarded<float> work(static_cast<std::size_t>(lsh_attention_workspace(p.rule, shape, false))),
        back(static_cast<std::size_t>(lsh_attention_workspace(p.rule, shape, true)));
    lsh_attention_forward(p.rule, tables, shape, dest.data(), lse_.data(), dq_.data(), dk_.data(), dv_.data(),
                          work.data(), extras, path);
    out.clear();
    const std::vector<T> rows = dest.get();
    for (std::int64_t row = 0; row < p.S * p.N; ++row)
      for (std::int64_t c = 0; c < shape.row_stride_out; ++c) {
        const T x = rows[static_cast<std::size_t>(row * shape.row_stride_out + c)];
        if (c < H * p.Ev)
          out.push_back(static_cast<double>(load(x)));
        else
          gaps = gaps && Guarded<T>::is_sentinel(x);
      }
    lse = lse_.get();
    if (backward) {
      Guarded<float> gq(static_cast<std::size_t>(p.keys())), gk(static_cast<std::size_t>(p.keys())),
          gv(static_cast<std::size_t>(p.values()));
      lsh_attention_backward(p.rule, tables, shape, gq.data(), gk.data(), gv.data(), dd_.data(), dq_.data(), dk_.data(),
                             dv_.data(), dest.data(), lse_.data(), back.data(), extras, path);
      dq = widened(gq.get());
      dk = widened(gk.get());
      dv = widened(gv.get());
      gaps = gaps && gq.guards_survive() && gk.guards_survive() && gv.guards_survive() && back.guards_survive();
    }
    gaps = gaps && dest.guards_survive() && lse_.guards_survive() && work.guards_survive();
  }
  Problem problem;
  AttentionShape shape;
  Doubles q, k, v, dout;
  LshPath path;
  AttentionExtras extras;
  Doubles out, dq, dk, dv;
  std::vector<float> lse;
  bool gaps = true;
};

inline double loss_of(const reference::Lsh& lsh, const Doubles& q, const Doubles& k, const Doubles& v,
                      const Doubles& dout) {
  Doubles out(dout.size());
  reference::lsh_attention_forward(lsh, out.data(), q.data(), k.data(), v.data());
  return dot(out, dout);
}

} // namespace weft::testing
