// Attention over hash buckets: forward and backward against brute force over the sets.
#include "kernels/lsh/seen_keys.hpp"
#include "tests/kernels/lsh_problem.hpp"
#include "tests/kernels/thread_counts.hpp"

using namespace weft;
using namespace weft::testing;

namespace {

template <class T>
struct Lsh : StorageTest<T> {};
TYPED_TEST_SUITE(Lsh, StorageTypes);

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

TEST(LshSeenKeys, AreWhatTheReferenceSees) {
  for (const Problem& p : problems()) {
    if (p.N > 300)
      continue;
    const reference::Lsh lsh = p.reference();
    const std::vector<bool> real = p.real();
    const std::vector<int> all = p.random_buckets();
    for (std::int64_t s = 0; s < p.S; ++s)
      for (std::int64_t h = 0; h < p.H; ++h) {
        const auto begin = all.begin() + (s * p.H + h) * p.rule.rounds * p.N;
        const LshSeenKeys seen(p.rule, p.N, {begin, begin + p.rule.rounds * p.N}, p.buckets);
        EXPECT_EQ(seen.real(), std::count(real.begin() + s * p.N, real.begin() + (s + 1) * p.N, true)) << p.name;
        for (int i = 0; i < p.N; ++i) {
          std::vector<int> expected;
          for (std::int64_t r = p.rule.mean_of_rounds ? 0 : -1; r < (p.rule.mean_of_rounds ? p.rule.rounds : 0); ++r)
            for (const int j : reference::lsh_keys(lsh, s, h, i, r))
              expected.push_back(j);
          std::sort(expected.begin(), expected.end());
          EXPECT_EQ(seen.of(i), expected) << p.name << " sequence " << s << " head " << h << " query " << i;
        }
      }
  }
}

TEST(LshSeenKeys, WantABucketForEveryPositionAndRound) {
  EXPECT_THROW(LshSeenKeys(rule_of(2, 4, ""), 8, std::vector<int>(15, 0), 4), std::invalid_argument);
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
    hash.add(run.out, run.dq, run.dk, run.dv);
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

} // namespace
