// Attention over hash buckets: hashes and sorted lists, then forward and backward against brute force over the sets.
#include "kernels/attention/attention_reference.hpp"
#include "kernels/lsh/hash.hpp"
#include "kernels/lsh/keys.hpp"
#include "kernels/lsh/lsh_attention.hpp"
#include "tests/kernels/numbers.hpp"
#include "tests/kernels/support.hpp"
#include "tests/kernels/thread_counts.hpp"
#include <algorithm>
#include <set>

using namespace weft;
using namespace weft::testing;
using weft::test::Guarded;
using weft::test::widened;

namespace {

template <class T>
Buffer<T> buffer_of(const std::vector<T>& values) {
  Buffer<T> buffer(static_cast<std::int64_t>(values.size()), "test");
  copy_to_device(buffer.data(), values.data(), buffer.bytes());
  return buffer;
}
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

LshRule rule_of(std::int64_t rounds, std::int64_t chunk, const std::string& flags) {
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

std::vector<Problem> problems() {
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

double loss_of(const reference::Lsh& lsh, const Doubles& q, const Doubles& k, const Doubles& v, const Doubles& dout) {
  Doubles out(dout.size());
  reference::lsh_attention_forward(lsh, out.data(), q.data(), k.data(), v.data());
  return dot(out, dout);
}

// ---- hashes and lists ----

LshHash hash_of(std::vector<int> factors, std::int64_t rounds = 2) {
  LshHash hash;
  hash.rounds = rounds;
  hash.count = static_cast<int>(factors.size());
  std::copy(factors.begin(), factors.end(), hash.factors);
  hash.seed = 5;
  hash.step = 3;
  return hash;
}

std::vector<float> projections_of(const LshHash& hash, std::int64_t heads, std::int64_t width) {
  Buffer<float> g(std::max<std::int64_t>(1, heads * hash.rounds * width * hash.columns()), "test");
  lsh_projections(g.data(), hash, heads, width);
  return host_of(g);
}

TEST(LshHash, ProjectionsAreNormalAndAFunctionOfWhatTheyAreFor) {
  const LshHash hash = hash_of({128}, 4);
  const std::vector<float> g = projections_of(hash, 3, 32);
  double sum = 0, squares = 0, fourth = 0;
  for (const float x : g) {
    sum += static_cast<double>(x);
    squares += static_cast<double>(x) * static_cast<double>(x);
    fourth += std::pow(static_cast<double>(x), 4);
  }
  const double n = static_cast<double>(g.size());
  EXPECT_NEAR(sum / n, 0, 0.03);
  EXPECT_NEAR(squares / n, 1, 0.04);
  EXPECT_NEAR(fourth / n, 3, 0.3);
  // No two matrices are alike, and each is the same the next time.
  std::set<float> first;
  for (std::size_t matrix = 0; matrix < 12; ++matrix)
    first.insert(g[matrix * 32 * 64]);
  EXPECT_EQ(first.size(), 12u);
  EXPECT_EQ(projections_of(hash, 3, 32), g);
  for (int what = 0; what < 3; ++what) {
    LshHash other = hash;
    (what == 0 ? other.step : other.layer) += what < 2 ? 1 : 0;
    other.seed += what == 2 ? 1 : 0;
    EXPECT_NE(projections_of(other, 3, 32)[0], g[0]) << what;
  }
  LshHash one = hash;
  one.one_for_all_heads = true;
  const std::vector<float> same = projections_of(one, 3, 32);
  EXPECT_TRUE(std::equal(same.begin(), same.begin() + 4 * 32 * 64, same.begin() + 4 * 32 * 64));
  EXPECT_TRUE(std::equal(same.begin(), same.begin() + 4 * 32 * 64, g.begin()));
}

TEST(LshHash, TheMomentOfAReplayedRecordingCounts) {
  LshHash hash = hash_of({6});
  const std::vector<float> want = projections_of(hash, 2, 4);
  Buffer<std::uint32_t> moment = buffer_of(std::vector<std::uint32_t>{3, 9});
  hash.step = 77;
  hash.moment = moment.data();
  EXPECT_EQ(projections_of(hash, 2, 4), want);
}

template <class T>
struct Lsh : StorageTest<T> {};
TYPED_TEST_SUITE(Lsh, StorageTypes);

TYPED_TEST(Lsh, BucketsAreThoseOfTheReference) {
  for (const std::vector<int>& factors :
       {std::vector<int>{1}, {2}, {4}, {10}, {16}, {62}, {6, 4}, {32, 16}, {2, 4, 6, 2}}) {
    const LshHash hash = hash_of(factors);
    const Problem p{"", 2, 37, 2, 11, 3, rule_of(2, 8, ""), static_cast<int>(hash.buckets()), true};
    Trial<TypeParam> run(p);
    const std::vector<float> g = projections_of(hash, p.H, p.E);
    Buffer<float> projections = buffer_of(g);
    Guarded<TypeParam> q = run.laid_out(run.q, p.H * p.E, run.shape.row_stride_qkv);
    Buffer<int> buckets = buffer_of(std::vector<int>(static_cast<std::size_t>(p.S * p.H * 2 * p.N), -1));
    Buffer<std::uint32_t> bits = buffer_of(p.bits());
    lsh_buckets(buckets.data(), hash, run.shape, q.data(), projections.data(), bits.data());
    const std::vector<int> got = host_of(buckets);
    const std::vector<bool> real = p.real();
    const Doubles wide(g.begin(), g.end());
    int different = 0;
    for (std::int64_t row = 0; row < p.S * p.H * 2; ++row)
      for (std::int64_t i = 0; i < p.N; ++i) {
        const std::int64_t s = row / 2 / p.H, h = row / 2 % p.H, r = row % 2;
        const int want = reference::lsh_bucket(hash, run.q.data() + ((s * p.N + i) * p.H + h) * p.E,
                                               wide.data() + (h * 2 + r) * p.E * hash.columns(), p.E);
        different += got[static_cast<std::size_t>(row * p.N + i)] !=
                     (real[static_cast<std::size_t>(s * p.N + i)] ? want : static_cast<int>(hash.buckets()));
      }
    EXPECT_LE(different, 1) << factors[0]; // a tie up to rounding may go either way
    EXPECT_GE(std::set<int>(got.begin(), got.end()).size(),
              std::min<std::size_t>(20, static_cast<std::size_t>(hash.buckets())));
  }
}

TEST(LshHash, AZeroVectorAndNanGoToBucketZero) {
  const LshHash hash = hash_of({10}, 1);
  const AttentionShape shape{1, 3, 1, 2, 2, 2, 2};
  Buffer<float> q = buffer_of(std::vector<float>{0, 0, NAN, 1, 1, NAN}), g = buffer_of(projections_of(hash, 1, 2));
  Buffer<int> buckets(3, "test");
  lsh_buckets(buckets.data(), hash, shape, q.data(), g.data(), nullptr);
  EXPECT_EQ(host_of(buckets), std::vector<int>(3, 0));
}

TEST(LshSort, IsAStablePermutation) {
  for (const Problem& p : problems()) {
    const std::vector<int> buckets = p.random_buckets();
    const std::int64_t lists = p.S * p.H * p.rule.rounds;
    Buffer<int> from = buffer_of(buckets), order(lists * p.N, "test"), chunk_of(lists * p.N, "test"), real(p.S, "test"),
                work(lsh_sort_workspace(p.shape(), p.rule.rounds, p.buckets), "test");
    lsh_sort(order.data(), chunk_of.data(), real.data(), from.data(), p.shape(), p.rule.rounds, p.buckets, p.rule.chunk,
             work.data());
    const std::vector<int> sorted = host_of(order), chunks = host_of(chunk_of), counts = host_of(real);
    for (std::int64_t list = 0; list < lists; ++list) {
      const int *at = sorted.data() + list * p.N, *bucket = buckets.data() + list * p.N;
      EXPECT_EQ(std::set<int>(at, at + p.N).size(), static_cast<std::size_t>(p.N));
      for (std::int64_t n = 0; n < p.N; ++n) {
        EXPECT_EQ(chunks[static_cast<std::size_t>(list * p.N + at[n])], n / p.rule.chunk);
        if (n == 0)
          continue;
        EXPECT_LT(std::make_pair(bucket[at[n - 1]], at[n - 1]), std::make_pair(bucket[at[n]], at[n]));
      }
      EXPECT_EQ(counts[static_cast<std::size_t>(list / p.H / p.rule.rounds)],
                std::count_if(bucket, bucket + p.N, [&](int b) { return b < p.buckets; }));
    }
  }
}

// ---- attention ----

TEST(Reference, LshGradientsAreThoseOfFiniteDifferences) {
  for (const char* flags : {"causal", "others multi", "mean padded", "causal self others"}) {
    const Problem p{
        flags, 2, 13, 2, 3, 2, rule_of(2, 4, flags), 3, std::string(flags).find("padded") != std::string::npos};
    const reference::Lsh lsh = p.reference();
    const Doubles q = random_doubles(p.keys(), 1), k = random_doubles(p.keys(), 2), v = random_doubles(p.values(), 3),
                  dout = random_doubles(p.values(), 4);
    Doubles dq(q.size(), NAN), dk(k.size(), NAN), dv(v.size(), NAN);
    reference::lsh_attention_backward(lsh, dq.data(), dk.data(), dv.data(), dout.data(), q.data(), k.data(), v.data());
    EXPECT_AT_MOST(
        relative_error(dq, finite_difference([&](const Doubles& x) { return loss_of(lsh, x, k, v, dout); }, q)), 1e-9);
    EXPECT_AT_MOST(
        relative_error(dk, finite_difference([&](const Doubles& x) { return loss_of(lsh, q, x, v, dout); }, k)), 1e-9);
    EXPECT_AT_MOST(
        relative_error(dv, finite_difference([&](const Doubles& x) { return loss_of(lsh, q, k, x, dout); }, v)), 1e-9);
  }
}

TEST(Reference, LshSeesWhatThePaperSays) {
  // Eight positions, chunks of two, buckets by hand: sorted 0 3 5 | 1 2 6 | 4 7, chunks {0 3} {5 1} {2 6} {4 7}.
  reference::Lsh lsh{1, 8, 1, 1, 1, rule_of(1, 2, "causal"), {0, 1, 1, 0, 2, 0, 1, 2}, {}};
  EXPECT_EQ(reference::lsh_keys(lsh, 0, 0, 0), (std::vector<int>{0}));    // itself: nothing else
  EXPECT_EQ(reference::lsh_keys(lsh, 0, 0, 3), (std::vector<int>{0}));    // not itself
  EXPECT_EQ(reference::lsh_keys(lsh, 0, 0, 5), (std::vector<int>{0, 3})); // in the chunk before
  EXPECT_EQ(reference::lsh_keys(lsh, 0, 0, 6), (std::vector<int>{2, 1})); // bucket 1, over the border
  EXPECT_EQ(reference::lsh_keys(lsh, 0, 0, 7), (std::vector<int>{4}));
  lsh.rule.other_buckets = true;
  EXPECT_EQ(reference::lsh_keys(lsh, 0, 0, 3), (std::vector<int>{0})); // the ring's last chunk is later
  lsh.rule.causal = false;
  EXPECT_EQ(reference::lsh_keys(lsh, 0, 0, 3), (std::vector<int>{0, 4, 7})); // and is seen both ways
  lsh.rule.cyclic = false;
  EXPECT_EQ(reference::lsh_keys(lsh, 0, 0, 3), (std::vector<int>{0}));
}

TYPED_TEST(Lsh, FollowsTheReference) {
  for (const Problem& p : problems())
    for (const LshPath path : {LshPath::best, LshPath::portable}) {
      Trial<TypeParam> run(p, path);
      run.go();
      const reference::Lsh lsh = p.reference();
      Doubles out(run.out.size()), dq(run.dq.size()), dk(run.dk.size()), dv(run.dv.size());
      reference::lsh_attention_forward(lsh, out.data(), run.q.data(), run.k.data(), run.v.data());
      reference::lsh_attention_backward(lsh, dq.data(), dk.data(), dv.data(), run.dout.data(), run.q.data(),
                                        run.k.data(), run.v.data());
      const double limit = this->limit * (std::is_same_v<TypeParam, float> ? 1 : 2);
      EXPECT_AT_MOST(relative_error(run.out, out), limit) << p.name;
      if (p.N > 1) {
        EXPECT_AT_MOST(relative_error(run.dq, dq), limit * 2) << p.name;
        EXPECT_AT_MOST(relative_error(run.dk, dk), limit * 2) << p.name;
      }
      EXPECT_AT_MOST(relative_error(run.dv, dv), limit) << p.name;
      EXPECT_TRUE(run.gaps) << p.name << ": something outside was written to";
    }
}

/// Shared queries and keys, everybody sees everybody else: by the reference of the attention engine.
Doubles full_attention(const Problem& p, const Doubles& q, const Doubles& k, const Doubles& v) {
  reference::Attention full{p.S, p.N, p.H, p.E, p.Ev, {}};
  full.keys.resize(1);
  for (int i = 0; i < p.N; ++i) {
    std::vector<int> keys;
    for (int j = 0; j < p.N; ++j)
      if (p.rule.causal ? j < i || (i == 0 && j == 0) : j != i)
        keys.push_back(j);
    full.keys[0].push_back(keys);
  }
  Doubles scaled = q, out(v.size()), lse(static_cast<std::size_t>(p.S * p.N * p.H));
  for (double& x : scaled)
    x *= static_cast<double>(p.rule.scale) * std::sqrt(static_cast<double>(p.E));
  reference::attention_forward(full, out.data(), lse.data(), scaled.data(), k.data(), v.data());
  return out;
}

TEST(LshAttention, WithOneBucketAndOneChunkIsFullAttention) {
  for (const char* flags : {"", "causal", "others", "causal others"})
    for (const std::int64_t rounds : {1, 3}) {
      const Problem p{flags, 2, 90, 2, 16, 8, rule_of(rounds, 90, flags), 1};
      Trial<float> run(p);
      run.go(false);
      EXPECT_AT_MOST(relative_error(run.out, full_attention(p, run.q, run.k, run.v)), 1e-6) << flags;
    }
  // A multiset that holds every key equally often gives the same.
  const Problem p{"multi", 1, 90, 1, 16, 8, rule_of(2, 90, "multi causal"), 1};
  Trial<float> run(p);
  run.go(false);
  EXPECT_AT_MOST(relative_error(run.out, full_attention(p, run.q, run.k, run.v)), 1e-6);
}

TEST(LshAttention, NothingUnseenHasInfluenceNotEvenAsNan) {
  for (const Problem& p : problems())
    for (const LshPath path : {LshPath::best, LshPath::portable}) {
      if (p.N > 100)
        continue;
      Trial<float> run(p, path);
      run.go(false);
      const Doubles before = run.out;
      const int victim = static_cast<int>(p.N / 2);
      for (std::int64_t h = 0; h < p.H; ++h) {
        for (std::int64_t e = 0; e < p.E; ++e)
          run.k[static_cast<std::size_t>((victim * p.H + h) * p.E + e)] = NAN;
        for (std::int64_t e = 0; e < p.Ev; ++e)
          run.v[static_cast<std::size_t>((victim * p.H + h) * p.Ev + e)] = e % 2 ? INFINITY : NAN;
      }
      run.go(false);
      const reference::Lsh lsh = p.reference();
      for (std::int64_t h = 0; h < p.H; ++h)
        for (std::int64_t i = 0; i < p.N; ++i) {
          bool seen = false;
          for (std::int64_t r = p.rule.mean_of_rounds ? 0 : -1; r < (p.rule.mean_of_rounds ? p.rule.rounds : 0); ++r) {
            const std::vector<int> keys = reference::lsh_keys(lsh, 0, h, i, r);
            seen = seen || std::find(keys.begin(), keys.end(), victim) != keys.end();
          }
          for (std::int64_t e = 0; e < p.Ev; ++e) {
            const auto at = static_cast<std::size_t>((i * p.H + h) * p.Ev + e);
            EXPECT_TRUE(seen ? !std::isfinite(run.out[at]) : run.out[at] == before[at])
                << p.name << " query " << i << (seen ? " sees it" : "");
          }
        }
    }
}

TEST(LshAttention, SequencesDoNotMoveEachOther) {
  for (const Problem& p : problems()) {
    if (p.S != 3)
      continue;
    Trial<float> all(p);
    all.go();
    Problem one = p;
    one.S = 1;
    Trial<float> alone(one);
    alone.go();
    const auto same = [&](const Doubles& part, const Doubles& whole) {
      return std::equal(part.begin(), part.end(), whole.begin());
    };
    // Random numbers are drawn in order, so the first sequence is the same in both.
    EXPECT_TRUE(same(alone.out, all.out) && same(alone.dq, all.dq) && same(alone.dk, all.dk) && same(alone.dv, all.dv))
        << p.name;
  }
}

std::string hash_of_all() {
  test::Hash hash;
  for (const Problem& p : problems()) {
    Trial<float> run(p);
    run.go();
    for (const Doubles* x : {&run.out, &run.dq, &run.dk, &run.dv})
      hash.add(*x);
  }
  return hash.text();
}
TEST(LshAttention, DISABLED_PrintsItsBits) { std::printf("%s\n", hash_of_all().c_str()); }
TEST(LshAttention, HasTheSameBitsWithAnyNumberOfThreads) {
  test::expect_from_threads("LshAttention.DISABLED_PrintsItsBits", hash_of_all(), {1, 2, 3});
}

TEST(LshAttention, DropoutIsTheSameInBothVersions) {
  const Problem p{"", 2, 70, 2, 8, 8, rule_of(2, 16, "causal others"), 4};
  AttentionExtras extras;
  extras.dropout = {0.4f, 11, 5, 2, 3, nullptr};
  extras.dropout_stride = 80;
  Trial<float> tiles(p, LshPath::best, extras), rows(p, LshPath::portable, extras), none(p);
  for (Trial<float>* run : {&tiles, &rows, &none})
    run->go();
  EXPECT_AT_MOST(relative_error(tiles.out, rows.out), 1e-6);
  EXPECT_AT_MOST(relative_error(tiles.dq, rows.dq), 1e-6);
  EXPECT_AT_MOST(relative_error(tiles.dk, rows.dk), 1e-6);
  EXPECT_AT_MOST(relative_error(tiles.dv, rows.dv), 1e-6);
  EXPECT_GT(relative_error(tiles.out, none.out), 0.1);
  // The gradient by v is that of an output that is linear in v.
  EXPECT_NEAR(dot(tiles.dv, tiles.v), dot(tiles.out, tiles.dout), 1e-4);
}

TEST(LshAttention, RefusesWhatItCannotDo) {
  Problem p{"", 1, 8, 1, 4, 4, rule_of(1, 4, ""), 2};
  p.rule.chunk = 0;
  const LshOrder none{};
  EXPECT_THROW(
      lsh_attention_forward<float>(p.rule, none, p.shape(), nullptr, nullptr, nullptr, nullptr, nullptr, nullptr),
      std::invalid_argument);
  p.rule.chunk = 4;
  p.E = attention_width_limit + 1;
  EXPECT_THROW(
      lsh_attention_forward<float>(p.rule, none, p.shape(), nullptr, nullptr, nullptr, nullptr, nullptr, nullptr),
      std::invalid_argument);
}

// ---- keys ----

constexpr SharedKeys conventions[] = {SharedKeys::unit, SharedKeys::trax, SharedKeys::raw};

TEST(Reference, SharedKeysGradientsAreThoseOfFiniteDifferences) {
  const std::int64_t rows = 3, E = 5;
  const Doubles q = random_doubles(rows * E, 1), dk = random_doubles(rows * E, 2), base = random_doubles(rows * E, 3);
  for (const SharedKeys kind : conventions) {
    Doubles dq = base;
    reference::shared_keys_backward(kind, dq.data(), dk.data(), q.data(), rows, E);
    for (std::size_t n = 0; n < dq.size(); ++n)
      dq[n] -= base[n];
    EXPECT_AT_MOST(relative_error(dq, finite_difference(
                                          [&](const Doubles& x) {
                                            Doubles k(x.size());
                                            reference::shared_keys_forward(kind, k.data(), x.data(), rows, E);
                                            return dot(k, dk);
                                          },
                                          q)),
                   1e-8);
  }
  Doubles k(5), zero(5, 0);
  reference::shared_keys_forward(SharedKeys::unit, k.data(), q.data(), 1, E);
  EXPECT_NEAR(dot(k, k), 1, 1e-12);
  reference::shared_keys_forward(SharedKeys::unit, k.data(), zero.data(), 1, E);
  EXPECT_EQ(k, zero);
}

TYPED_TEST(Lsh, SharedKeysFollowTheReference) {
  for (const std::int64_t E : {1, 5, 40}) {
    const Problem p{"", 2, 9, 2, E, 3, rule_of(1, 4, ""), 2};
    const AttentionShape shape = p.shape();
    for (const SharedKeys kind : conventions) {
      Trial<TypeParam> run(p);
      std::fill(run.q.begin(), run.q.begin() + E, 0.0); // a key without a direction
      const Doubles by_q = rounded<float>(random_doubles(p.keys(), 5)),
                    by_k = rounded<float>(random_doubles(p.keys(), 6));
      Guarded<TypeParam> q = run.laid_out(run.q, p.H * E, shape.row_stride_qkv),
                         k(static_cast<std::size_t>(p.S * p.N * shape.row_stride_qkv)),
                         dq(static_cast<std::size_t>(p.S * p.N * shape.row_stride_qkv));
      const Doubles by_v = rounded<TypeParam>(random_doubles(p.values(), 7));
      Buffer<float> from_q = to_device<float>(by_q), from_k = to_device<float>(by_k), from_v = to_device<float>(by_v);
      shared_keys_forward(kind, shape, k.data(), q.data());
      shared_keys_backward(kind, shape, dq.data(), dq.data() + p.H * E, from_q.data(), from_k.data(), from_v.data(),
                           q.data());
      Doubles want_k(run.q.size()), want_dq = by_q;
      reference::shared_keys_forward(kind, want_k.data(), run.q.data(), p.S * p.N * p.H, E);
      reference::shared_keys_backward(kind, want_dq.data(), by_k.data(), run.q.data(), p.S * p.N * p.H, E);
      // Columns [from, from + width) of all rows; behind `written` nobody may have been.
      const auto part = [&](const Guarded<TypeParam>& rows, std::int64_t from, std::int64_t width,
                            std::int64_t written) {
        Doubles dense;
        const std::vector<TypeParam> all = rows.get();
        for (std::int64_t n = 0; n < p.S * p.N * shape.row_stride_qkv; ++n) {
          const std::int64_t column = n % shape.row_stride_qkv;
          const TypeParam x = all[static_cast<std::size_t>(n)];
          if (column >= from && column < from + width)
            dense.push_back(static_cast<double>(load(x)));
          EXPECT_TRUE(column < written || Guarded<TypeParam>::is_sentinel(x));
        }
        return dense;
      };
      const std::int64_t qs = p.H * E, vs = p.H * p.Ev;
      EXPECT_AT_MOST(relative_error(part(k, 0, qs, qs), want_k), this->limit) << E;
      EXPECT_EQ(part(dq, qs, vs, qs + vs), by_v);
      if (kind != SharedKeys::trax) { // there the derivative at 0 is 1000 / sqrt(E)
        EXPECT_AT_MOST(relative_error(part(dq, 0, qs, qs + vs), want_dq), this->limit) << E;
      }
      EXPECT_TRUE(k.guards_survive() && dq.guards_survive());
    }
  }
}

} // namespace
