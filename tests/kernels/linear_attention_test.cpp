// Linear attention: the reference against finite differences, the kernels against the reference, and what a row must
// not see.
#include "tests/kernels/linear_attention_support.hpp"
#include "tests/kernels/thread_counts.hpp"
#include <cstdio>
#include <gtest/gtest.h>

using namespace weft;
using namespace weft::testing;

namespace {

WEFT_STORAGE_SUITE(LinearAttentionOf);

constexpr LinearProblem tiny{"tiny", 3, 6, 2, 3, 2, FeatureMap::elu, 0, true, true, 0.3f};

/// Out of phi(q), phi(k), v by the reference.
Doubles out_of(const LinearProblem& p, const LinearNumbers& n) {
  reference::LinearAttention call{p.B, p.N, p.H, p.features(), p.Ev, p.causal, static_cast<double>(p.guard)};
  if (p.masked)
    call.seen = n.seen.data();
  Doubles out(n.v.size());
  reference::linear_attention_forward(call, out.data(), n.phi_q.data(), n.phi_k.data(), n.v.data());
  return out;
}

TEST(Reference, LinearAttentionGradientsAreThoseOfFiniteDifferences) {
  for (const FeatureMap map : {FeatureMap::elu, FeatureMap::relu})
    for (const bool causal : {false, true})
      for (const bool masked : {false, true}) {
        LinearProblem p = tiny;
        p.map = map;
        p.causal = causal;
        p.masked = masked;
        LinearNumbers n = linear_numbers<float>(p);
        for (Doubles* x : {&n.q, &n.k}) // away from the kink at 0
          for (double& value : *x)
            value += value < 0 ? -0.05 : 0.05;
        const auto value = [&](const Doubles& q, const Doubles& k, const Doubles& v) {
          LinearNumbers at = n;
          at.v = v;
          reference::features_forward(map, 1e-3, at.phi_q.data(), q.data(), static_cast<std::int64_t>(q.size()));
          reference::features_forward(map, 1e-3, at.phi_k.data(), k.data(), static_cast<std::int64_t>(k.size()));
          return dot(out_of(p, at), n.dout);
        };
        reference::features_forward(map, 1e-3, n.phi_q.data(), n.q.data(), static_cast<std::int64_t>(n.q.size()));
        reference::features_forward(map, 1e-3, n.phi_k.data(), n.k.data(), static_cast<std::int64_t>(n.k.size()));
        const LinearResult got = linear_reference(p, n);
        EXPECT_AT_MOST(
            relative_error(got.dq, finite_difference([&](const Doubles& x) { return value(x, n.k, n.v); }, n.q)), 5e-9)
            << text(p);
        EXPECT_AT_MOST(
            relative_error(got.dk, finite_difference([&](const Doubles& x) { return value(n.q, x, n.v); }, n.k)), 5e-9)
            << text(p);
        EXPECT_AT_MOST(
            relative_error(got.dv, finite_difference([&](const Doubles& x) { return value(n.q, n.k, x); }, n.v)), 5e-9)
            << text(p);
      }
}

TEST(Reference, TheChangeOfGivenFeaturesIsThatOfTheirExponents) {
  // phi = e^u + floor: the gradient by u.
  LinearProblem p = tiny;
  p.map = FeatureMap::given;
  p.M = 5;
  LinearNumbers n = linear_numbers<float>(p);
  const Doubles u = random_doubles(p.rows() * p.M, 8);
  const auto features = [&](const Doubles& at) {
    Doubles phi;
    for (const double x : at)
      phi.push_back(std::exp(x) + static_cast<double>(p.floor()));
    return phi;
  };
  n.phi_k = features(u);
  const LinearResult got = linear_reference(p, n);
  const auto value = [&](const Doubles& at) {
    LinearNumbers moved = n;
    moved.phi_k = features(at);
    return dot(out_of(p, moved), n.dout);
  };
  EXPECT_AT_MOST(relative_error(got.dk, finite_difference(value, u)), 5e-9);
}

TYPED_TEST(LinearAttentionOf, EveryCaseFollowsTheReference) {
  using T = TypeParam;
  for (const LinearProblem& p : linear_problems()) {
    SCOPED_TRACE(text(p));
    const LinearNumbers n = linear_numbers<T>(p);
    const LinearResult want = linear_reference(p, n), got = linear_kernels<T>(p, n);
    EXPECT_TRUE(got.clean);
    // Gradients are differences of numbers that nearly cancel where most keys are alike, and take out as it is stored.
    const double limit = std::is_same_v<T, float> ? 1e-5 : 1.7 * TestFixture::limit;
    EXPECT_AT_MOST(relative_error(got.out, want.out), limit);
    EXPECT_AT_MOST(relative_error(got.dv, want.dv), limit);
    if (p.N > 1) { // one key: the weight is 1 whatever q and k are
      EXPECT_AT_MOST(relative_error(got.dq, want.dq), 4 * limit);
      EXPECT_AT_MOST(relative_error(got.dk, want.dk), 4 * limit);
    }
  }
}

/// With every array stored in T between single operations on whole arrays, as a chain of library calls would.
template <class T>
LinearResult plain(const LinearProblem& p, const LinearNumbers& n) {
  LinearNumbers low = n;
  low.phi_q = rounded<T>(n.phi_q);
  low.phi_k = rounded<T>(n.phi_k);
  LinearResult r = linear_reference(p, low);
  for (Doubles* x : {&r.out, &r.dq, &r.dk, &r.dv})
    *x = rounded<T>(*x);
  return r;
}

TEST(LinearAttentionRounding, Bf16ErrorIsAtMostTwiceThatOfAPlainEvaluation) {
  for (const LinearProblem& p : linear_problems()) {
    if (p.N < 33 || p.map != FeatureMap::elu)
      continue;
    SCOPED_TRACE(text(p));
    const LinearNumbers n = linear_numbers<bf16>(p, 11);
    const LinearResult want = linear_reference(p, n), got = linear_kernels<bf16>(p, n), low = plain<bf16>(p, n);
    EXPECT_AT_MOST(relative_error(got.out, want.out), 2 * relative_error(low.out, want.out));
    EXPECT_AT_MOST(relative_error(got.dq, want.dq), 2 * relative_error(low.dq, want.dq));
    EXPECT_AT_MOST(relative_error(got.dk, want.dk), 2 * relative_error(low.dk, want.dk));
    EXPECT_AT_MOST(relative_error(got.dv, want.dv), 2 * relative_error(low.dv, want.dv));
  }
}

TYPED_TEST(LinearAttentionOf, APaddedKeyIsNotReadAndGetsNoGradient) {
  using T = TypeParam;
  for (LinearProblem p : linear_problems()) {
    if (!p.masked || p.N < 5)
      continue;
    SCOPED_TRACE(text(p));
    const LinearNumbers n = linear_numbers<T>(p);
    LinearNumbers spoilt = n;
    for (std::int64_t row = 0; row < p.rows(); ++row) {
      if (real(p, n.seen, row / p.H / p.N, row / p.H % p.N))
        continue;
      std::fill_n(spoilt.k.begin() + row * p.E, p.E, NAN);
      std::fill_n(spoilt.v.begin() + row * p.Ev, p.Ev, NAN);
      std::fill_n(spoilt.phi_k.begin() + row * p.features(), p.features(), NAN);
    }
    const LinearResult want = linear_kernels<T>(p, n), got = linear_kernels<T>(p, spoilt);
    EXPECT_EQ(got.out, want.out);
    EXPECT_EQ(got.dq, want.dq);
    EXPECT_EQ(got.dk, want.dk);
    EXPECT_EQ(got.dv, want.dv);
    for (std::int64_t row = 0; row < p.rows(); ++row)
      if (!real(p, n.seen, row / p.H / p.N, row / p.H % p.N)) {
        ASSERT_EQ(got.dv[static_cast<std::size_t>(row * p.Ev)], 0) << row;
        ASSERT_EQ(got.dk[static_cast<std::size_t>(row * p.features())], 0) << row;
      }
    for (std::int64_t i = 0; p.B > 1 && i < p.N * p.H * p.Ev; ++i) // the second sequence has no key at all
      ASSERT_EQ(got.out[static_cast<std::size_t>(p.N * p.H * p.Ev + i)], 0);
  }
}

TYPED_TEST(LinearAttentionOf, ALaterKeyChangesNoBitOfACausalRowNotEvenAsNan) {
  using T = TypeParam;
  for (const LinearProblem& p : linear_problems()) {
    if (!p.causal || p.masked || p.N < 33)
      continue;
    SCOPED_TRACE(text(p));
    const LinearNumbers n = linear_numbers<T>(p);
    const LinearResult want = linear_kernels<T>(p, n);
    const std::int64_t HEv = p.H * p.Ev;
    for (const std::int64_t from : {std::int64_t{1}, std::int64_t{30}, p.N - 1}) {
      LinearNumbers later = n;
      for (std::int64_t row = 0; row < p.rows(); ++row) {
        if (row / p.H % p.N < from)
          continue;
        std::fill_n(later.k.begin() + row * p.E, p.E, NAN);
        std::fill_n(later.v.begin() + row * p.Ev, p.Ev, INFINITY);
        std::fill_n(later.phi_k.begin() + row * p.features(), p.features(), NAN);
      }
      const LinearResult got = linear_kernels<T>(p, later);
      for (std::int64_t b = 0; b < p.B; ++b)
        for (std::int64_t i = 0; i < from * HEv; ++i)
          ASSERT_EQ(got.out[static_cast<std::size_t>(b * p.N * HEv + i)],
                    want.out[static_cast<std::size_t>(b * p.N * HEv + i)])
              << from << " " << i;
      EXPECT_TRUE(std::isnan(got.out[static_cast<std::size_t>(from * HEv)])) << "the test would see nothing";
    }
  }
}

TYPED_TEST(LinearAttentionOf, NanInAKeyShowsInItsSequenceAndHeadOnly) {
  using T = TypeParam;
  const FeatureMap maps[] = {FeatureMap::elu, FeatureMap::relu};
  for (const FeatureMap map : maps) {
    const LinearProblem p{"nan", 2, 70, 2, 5, 4, map, 0, false, false, 0};
    LinearNumbers n = linear_numbers<T>(p);
    n.k[static_cast<std::size_t>((3 * p.H + 1) * p.E)] = NAN; // sequence 0, head 1
    const LinearResult got = linear_kernels<T>(p, n);
    for (std::int64_t row = 0; row < p.rows(); ++row)
      EXPECT_EQ(std::isnan(got.out[static_cast<std::size_t>(row * p.Ev)]), row / p.H < p.N && row % p.H == 1) << row;
  }
}

TYPED_TEST(LinearAttentionOf, BitsOfASequenceDoNotDependOnTheOthersOfItsMicroBatch) {
  using T = TypeParam;
  for (LinearProblem p : linear_problems()) {
    if (p.B < 2 || p.N < 33)
      continue;
    const LinearNumbers n = linear_numbers<T>(p);
    const LinearResult all = linear_kernels<T>(p, n);
    LinearProblem alone = p;
    alone.B = 1;
    LinearNumbers first = n;
    for (Doubles* x : {&first.q, &first.k, &first.v, &first.dout, &first.phi_q, &first.phi_k})
      x->resize(x->size() / static_cast<std::size_t>(p.B));
    const LinearResult one = linear_kernels<T>(alone, first);
    EXPECT_TRUE(std::equal(one.out.begin(), one.out.end(), all.out.begin())) << text(p);
    EXPECT_TRUE(std::equal(one.dq.begin(), one.dq.end(), all.dq.begin())) << text(p);
    EXPECT_TRUE(std::equal(one.dk.begin(), one.dk.end(), all.dk.begin())) << text(p);
    EXPECT_TRUE(std::equal(one.dv.begin(), one.dv.end(), all.dv.begin())) << text(p);
  }
}

TYPED_TEST(LinearAttentionOf, StepsGiveTheRowsOfTheCausalForm) {
  using T = TypeParam;
  for (const LinearProblem& p : linear_problems()) {
    if (!p.causal || p.masked || p.map == FeatureMap::given || p.N > 200)
      continue;
    SCOPED_TRACE(text(p));
    const LinearNumbers n = linear_numbers<T>(p);
    const LinearResult want = linear_reference(p, n);
    const std::int64_t HE = p.H * p.E, HEv = p.H * p.Ev, wide = p.stride(), tall = p.stride_out();
    const LinearAttention call{{p.B, 1, p.H, p.E, p.Ev, wide, tall}, p.map, true, p.guard, p.floor()};
    test::Guarded<float> state(std::vector<float>(static_cast<std::size_t>(linear_attention_state(call)), 0.0f));
    Doubles got(n.v.size());
    for (std::int64_t i = 0; i < p.N; ++i) {
      Doubles rows(static_cast<std::size_t>(p.B * wide), 9);
      for (std::int64_t b = 0; b < p.B; ++b) {
        const std::int64_t row = b * p.N + i;
        std::copy_n(n.q.begin() + row * HE, HE, rows.begin() + b * wide);
        std::copy_n(n.k.begin() + row * HE, HE, rows.begin() + b * wide + HE);
        std::copy_n(n.v.begin() + row * HEv, HEv, rows.begin() + b * wide + 2 * HE);
      }
      test::Guarded<T> qkv(test::stored<T>(rows)), out(static_cast<std::size_t>(p.B * tall));
      linear_attention_step<T>(call, state.data(), out.data(), qkv.data(), qkv.data() + HE, qkv.data() + 2 * HE);
      const Doubles o = test::widened(out.get());
      for (std::int64_t b = 0; b < p.B; ++b)
        std::copy_n(o.begin() + b * tall, HEv, got.begin() + (b * p.N + i) * HEv);
      EXPECT_TRUE(out.guards_survive() && state.guards_survive());
    }
    EXPECT_AT_MOST(relative_error(got, want.out), 2 * TestFixture::limit);
  }
}

std::string bits() {
  test::Hash hash;
  for (const LinearProblem& p : linear_problems())
    if (p.N >= 33) {
      const LinearResult r = linear_kernels<bf16>(p, linear_numbers<bf16>(p));
      hash.add(r.out, r.dq, r.dk, r.dv);
    }
  return hash.text();
}

TEST(LinearAttentionBits, DISABLED_Print) { std::puts(bits().c_str()); }

TEST(LinearAttentionBits, DoNotDependOnTheNumberOfThreads) {
  test::expect_from_threads("LinearAttentionBits.DISABLED_Print", bits(), {1, 3, 4});
}

TEST(LinearAttentionMemory, GrowsWithTheLengthAndNotWithItsSquare) {
  for (const bool causal : {false, true}) {
    LinearAttention call{{2, 1024, 4, 64, 64, 768, 256}, FeatureMap::elu, causal, 1e-6f};
    const std::int64_t once = linear_attention_workspace(call);
    call.shape.length *= 16;
    EXPECT_LE(linear_attention_workspace(call), 16 * once);
    EXPECT_LE(once, (causal ? 4 : 1) * 2 * 1024 * 4 * 64) << "floats, against the numbers of v";
  }
}

} // namespace
