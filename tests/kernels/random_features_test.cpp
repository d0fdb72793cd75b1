// Positive random features: their draw, the reference against finite differences, the kernels against the reference,
// and how well they stand for the softmax.
#include "kernels/random/normal.hpp"
#include "tests/kernels/linear_attention_support.hpp"
#include <gtest/gtest.h>

using namespace weft;
using namespace weft::testing;

namespace {

WEFT_STORAGE_SUITE(RandomFeaturesOf);

/// The matrix (M, E), and whether its transposed copy is the same.
Doubles drawn(const RandomFeatures& f, const FeatureDraw& draw, bool* copies = nullptr) {
  test::Guarded<float> omega(static_cast<std::size_t>(f.matrix()));
  Buffer<double> workspace(f.draw_workspace(), "test");
  draw_random_features(f, draw, omega.data(), workspace.data());
  EXPECT_TRUE(omega.guards_survive());
  const std::vector<float> all = omega.get();
  const std::int64_t Ep = padded_features(f.width), Mp = padded_features(f.features);
  Doubles matrix;
  double rest = 0;
  for (const float x : all)
    rest += std::abs(static_cast<double>(x));
  for (std::int64_t m = 0; m < f.features; ++m)
    for (std::int64_t e = 0; e < f.width; ++e) {
      const float x = all[static_cast<std::size_t>(m * Ep + e)];
      matrix.push_back(static_cast<double>(x));
      rest -= 2 * std::abs(static_cast<double>(x));
      if (copies)
        *copies = *copies && all[static_cast<std::size_t>(f.features * Ep + e * Mp + m)] == x;
    }
  EXPECT_NEAR(rest, 0, 1e-6 * static_cast<double>(all.size())) << "the padding is not zero";
  return matrix;
}

FeatureDraw at_step(std::uint64_t seed, std::uint32_t step, std::int64_t every = 1, std::uint32_t layer = 0) {
  FeatureDraw draw;
  draw.moment.seed = seed;
  draw.moment.step = step;
  draw.every = every;
  draw.layer = layer;
  return draw;
}

TEST(FeatureDraw, BlocksAreOrthogonalAndLengthsAreThoseOfGaussianVectors) {
  for (const auto& [M, E] : {std::pair<std::int64_t, std::int64_t>{1, 1}, {2, 64}, {266, 64}, {70, 9}, {300, 256}}) {
    bool copies = true;
    const Doubles w = drawn({M, E, 1e-4f}, at_step(3, 5), &copies);
    EXPECT_TRUE(copies);
    double squares = 0;
    for (std::int64_t a = 0; a < M; ++a)
      for (std::int64_t b = a; b < M && b / E == a / E; ++b) {
        double product = 0, left = 0, right = 0;
        for (std::int64_t e = 0; e < E; ++e) {
          product += w[static_cast<std::size_t>(a * E + e)] * w[static_cast<std::size_t>(b * E + e)];
          left += w[static_cast<std::size_t>(a * E + e)] * w[static_cast<std::size_t>(a * E + e)];
          right += w[static_cast<std::size_t>(b * E + e)] * w[static_cast<std::size_t>(b * E + e)];
        }
        if (a == b)
          squares += product;
        else
          ASSERT_LT(std::abs(product), 1e-6 * std::sqrt(left * right)) << a << " " << b;
      }
    const double n = static_cast<double>(M * E);
    EXPECT_NEAR(squares / n, 1, 6 * std::sqrt(2 / n)) << M << " " << E;
  }
}

TEST(FeatureDraw, IsAFunctionOfSeedDrawAndLayerAlone) {
  const RandomFeatures f{20, 8, 1e-4f};
  const Doubles first = drawn(f, at_step(1, 0, 10));
  EXPECT_EQ(drawn(f, at_step(1, 9, 10)), first);
  EXPECT_NE(drawn(f, at_step(1, 10, 10)), first);
  EXPECT_NE(drawn(f, at_step(2, 0, 10)), first);
  EXPECT_NE(drawn(f, at_step(1, 0, 10, 1)), first);
  EXPECT_EQ(drawn(f, at_step(1, 123, 0)), first) << "0 steps: one draw for ever";
  // A recorded kernel finds the step in memory.
  Buffer<std::uint32_t> moment(2, "test");
  const std::uint32_t step[] = {10, 0};
  copy_to_device(moment.data(), step, sizeof step);
  FeatureDraw recorded = at_step(1, 0, 10);
  recorded.moment.moment = moment.data();
  EXPECT_EQ(drawn(f, recorded), drawn(f, at_step(1, 10, 10)));
}

TEST(FeatureDraw, AsManyAsThePaperAsksFor) {
  EXPECT_EQ(default_features(64), 266);
  EXPECT_EQ(default_features(8), 16);
  EXPECT_EQ(default_features(1), 1);
}

/// The whole reference: features of q and k, attention, and back. seen may be null.
struct Chain {
  LinearProblem p;
  Doubles omega, q, k, v, dout;
  double epsilon;
  const std::uint32_t* seen = nullptr;
  FeaturesOf keys() const { return p.causal ? FeaturesOf::causal_keys : FeaturesOf::keys; }
  reference::LinearAttention call() const { return {p.B, p.N, p.H, p.M, p.Ev, p.causal, 0, seen}; }
  Doubles stabilisers(FeaturesOf of, const Doubles& x) const {
    Doubles c(static_cast<std::size_t>(p.rows()));
    reference::random_features_stabilisers(c.data(), of, x.data(), omega.data(), p.B, p.N, p.H, p.E, p.M, seen);
    return c;
  }
  Doubles features(const Doubles& x, const Doubles& c) const {
    Doubles phi(static_cast<std::size_t>(p.rows() * p.M));
    reference::random_features_forward(phi.data(), x.data(), omega.data(), c.data(), p.rows(), p.E, p.M, epsilon);
    return phi;
  }
  LinearResult run() const {
    const Doubles cq = stabilisers(FeaturesOf::queries, q), ck = stabilisers(keys(), k), phi_q = features(q, cq),
                  phi_k = features(k, ck);
    LinearResult r;
    r.out.resize(v.size());
    r.dv.resize(v.size());
    r.dq.resize(q.size());
    r.dk.resize(k.size());
    reference::linear_attention_forward(call(), r.out.data(), phi_q.data(), phi_k.data(), v.data());
    Doubles dphi_q(phi_q.size()), dphi_k(phi_k.size());
    reference::linear_attention_backward(call(), dphi_q.data(), dphi_k.data(), r.dv.data(), dout.data(), phi_q.data(),
                                         phi_k.data(), v.data());
    reference::random_features_backward(r.dq.data(), dphi_q.data(), phi_q.data(), q.data(), omega.data(), p.rows(), p.E,
                                        p.M, epsilon);
    reference::random_features_backward(r.dk.data(), dphi_k.data(), phi_k.data(), k.data(), omega.data(), p.rows(), p.E,
                                        p.M, epsilon);
    return r;
  }
};

template <class T>
Chain chain_of(const LinearProblem& p, double epsilon, unsigned seed = 1) {
  const LinearNumbers n = linear_numbers<T>(p, seed);
  return {p, drawn({p.M, p.E, static_cast<float>(epsilon)}, at_step(7, 0)), n.q, n.k, n.v, n.dout, epsilon};
}

TEST(Reference, RandomFeaturesGradientsAreThoseOfFiniteDifferences) {
  // Without epsilon the stabilisers cancel, so that what they are taken from is no matter.
  for (const bool causal : {false, true}) {
    const LinearProblem p{"tiny", 2, 5, 2, 3, 2, FeatureMap::given, 7, causal};
    const Chain c = chain_of<float>(p, 0);
    const LinearResult got = c.run();
    const auto slope = [&](Doubles Chain::*x) {
      return finite_difference(
          [&](const Doubles& at) {
            Chain moved = c;
            moved.*x = at;
            return dot(moved.run().out, c.dout);
          },
          c.*x);
    };
    EXPECT_AT_MOST(relative_error(got.dq, slope(&Chain::q)), 1e-8);
    EXPECT_AT_MOST(relative_error(got.dk, slope(&Chain::k)), 1e-8);
    EXPECT_AT_MOST(relative_error(got.dv, slope(&Chain::v)), 1e-8);
  }
}

TEST(Reference, EpsilonIsNoPartOfTheGradientAndTheStabiliserAConstant) {
  const std::int64_t rows = 4, E = 3, M = 5;
  const Doubles x = random_doubles(rows * E, 1), omega = random_doubles(M * E, 2), held = random_doubles(rows, 3),
                dphi = random_doubles(rows * M, 4);
  const auto features = [&](const Doubles& at) {
    Doubles phi(static_cast<std::size_t>(rows * M));
    reference::random_features_forward(phi.data(), at.data(), omega.data(), held.data(), rows, E, M, 0.3);
    return phi;
  };
  Doubles dx(x.size());
  const Doubles phi = features(x);
  reference::random_features_backward(dx.data(), dphi.data(), phi.data(), x.data(), omega.data(), rows, E, M, 0.3);
  EXPECT_AT_MOST(relative_error(dx, finite_difference([&](const Doubles& at) { return dot(features(at), dphi); }, x)),
                 1e-9);
}

TYPED_TEST(RandomFeaturesOf, FeaturesAndTheirAttentionFollowTheReference) {
  using T = TypeParam;
  for (const auto& [N, E, M] :
       {std::tuple<std::int64_t, std::int64_t, std::int64_t>{5, 3, 2}, {70, 9, 20}, {150, 64, 133}})
    for (const bool causal : {false, true})
      for (const bool masked : {false, true}) {
        const LinearProblem p{"features", 3, N, 2, E, 5, FeatureMap::given, M, causal, masked, 0};
        SCOPED_TRACE(text(p) + " " + std::to_string(N));
        Chain c = chain_of<T>(p, 1e-3);
        const std::vector<std::uint32_t> seen = seen_of(p);
        c.seen = masked ? seen.data() : nullptr;
        const LinearResult want = c.run();
        // Keys that are not real are not read.
        const std::int64_t wide = p.stride(), tall = p.stride_out(), HE = p.H * E, HEv = p.H * p.Ev;
        Doubles rows(static_cast<std::size_t>(p.B * N * wide), 9), errors(static_cast<std::size_t>(p.B * N * tall), 9);
        Doubles k = c.k;
        for (std::int64_t row = 0; row < p.rows(); ++row)
          if (!real(p, seen, row / p.H / N, row / p.H % N))
            std::fill_n(k.begin() + row * E, E, NAN);
        lay(rows, c.q, HE, wide, 0);
        lay(rows, k, HE, wide, HE);
        lay(rows, c.v, HEv, wide, 2 * HE);
        lay(errors, c.dout, HEv, tall, 0);
        const RandomFeatures f{M, E, 1e-3f};
        test::Guarded<float> omega(static_cast<std::size_t>(f.matrix()));
        Buffer<double> draw(f.draw_workspace(), "test");
        draw_random_features(f, at_step(7, 0), omega.data(), draw.data());
        Buffer<std::uint32_t> bits(static_cast<std::int64_t>(seen.size()), "test");
        copy_to_device(bits.data(), seen.data(), bits.bytes());
        LinearAttention call{{p.B, N, p.H, E, p.Ev, wide, tall}, FeatureMap::given, causal, 0, f.floor(), M};
        call.seen = masked ? bits.data() : nullptr;
        const auto numbers = static_cast<std::size_t>(p.rows() * padded_features(M));
        test::Guarded<T> qkv(test::stored<T>(rows)), dout(test::stored<T>(errors)), out(errors.size()), d(rows.size());
        test::Guarded<float> phi_q(numbers), phi_k(numbers), denominators(static_cast<std::size_t>(p.rows())),
            workspace(static_cast<std::size_t>(linear_attention_workspace(call))),
            tops(static_cast<std::size_t>(random_features_workspace(call.shape)));
        const T* q = qkv.data();
        const auto make = [&] {
          random_features_forward(f, FeaturesOf::queries, call.shape, phi_q.data(), q, omega.data(), call.seen,
                                  tops.data());
          random_features_forward(f, c.keys(), call.shape, phi_k.data(), q + HE, omega.data(), call.seen, tops.data());
        };
        make();
        linear_attention_forward<T>(call, out.data(), denominators.data(), q, q + HE, q + 2 * HE, phi_q.data(),
                                    phi_k.data(), workspace.data());
        EXPECT_AT_MOST(relative_error(taken(test::widened(out.get()), HEv, tall, 0), want.out), 4 * TestFixture::limit);
        linear_attention_backward<T>(call, d.data(), d.data() + HE, d.data() + 2 * HE, dout.data(), q, q + HE,
                                     q + 2 * HE, out.data(), denominators.data(), phi_q.data(), phi_k.data(),
                                     workspace.data());
        random_features_backward(f, FeaturesOf::queries, call.shape, d.data(), phi_q.data(), q, omega.data(),
                                 call.seen);
        random_features_backward(f, c.keys(), call.shape, d.data() + HE, phi_k.data(), q + HE, omega.data(), call.seen);
        const Doubles dqkv = test::widened(d.get());
        EXPECT_AT_MOST(relative_error(taken(dqkv, HE, wide, 0), want.dq), 8 * TestFixture::limit);
        EXPECT_AT_MOST(relative_error(taken(dqkv, HE, wide, HE), want.dk), 8 * TestFixture::limit);
        EXPECT_AT_MOST(relative_error(taken(dqkv, HEv, wide, 2 * HE), want.dv), 8 * TestFixture::limit);
        EXPECT_TRUE(phi_q.guards_survive() && phi_k.guards_survive() && tops.guards_survive() && out.guards_survive() &&
                    d.guards_survive() && omega.guards_survive() && workspace.guards_survive());
        for (const double x : taken(dqkv, 3, wide, 2 * HE + HEv))
          ASSERT_EQ(x, static_cast<double>(load(test::Guarded<T>::sentinel())));
      }
}

TYPED_TEST(RandomFeaturesOf, ALaterKeyMovesTheFeaturesOfNoEarlierOneInCausalForm) {
  using T = TypeParam;
  const RandomFeatures f{11, 6, 1e-4f};
  const AttentionShape shape{1, 90, 1, 6, 6, 6, 6};
  Buffer<float> omega(f.matrix(), "test"), tops(random_features_workspace(shape), "test");
  Buffer<double> draw(f.draw_workspace(), "test");
  draw_random_features(f, at_step(1, 1), omega.data(), draw.data());
  Doubles x = random_doubles(90 * 6, 1);
  const auto features = [&](FeaturesOf of) {
    const Buffer<T> rows = to_device<T>(x);
    Buffer<float> phi(90 * padded_features(11), "test");
    random_features_forward(f, of, shape, phi.data(), rows.data(), omega.data(), nullptr, tops.data());
    return to_doubles(phi);
  };
  const Doubles causal = features(FeaturesOf::causal_keys), all = features(FeaturesOf::keys);
  for (std::size_t i = 70 * 6; i < 71 * 6; ++i)
    x[i] *= 9;
  const Doubles moved = features(FeaturesOf::causal_keys), stabilised = features(FeaturesOf::keys);
  const auto end = static_cast<std::ptrdiff_t>(70 * padded_features(11));
  EXPECT_TRUE(std::equal(causal.begin(), causal.begin() + end, moved.begin()));
  EXPECT_FALSE(std::equal(all.begin(), all.begin() + end, stabilised.begin())) << "the test would see nothing";
}

/// Mean square error of attention over random features against the softmax, over `draws` matrices.
double error_against_softmax(const LinearProblem& p, bool orthogonal, int draws) {
  Chain c = chain_of<float>(p, 0);
  for (Doubles* x : {&c.q, &c.k})
    for (double& value : *x)
      value *= 0.5;
  Doubles want(c.v.size(), 0);
  for (std::int64_t i = 0; i < p.N; ++i) {
    double sum = 0;
    for (std::int64_t j = 0; j < p.N; ++j) {
      double score = 0;
      for (std::int64_t e = 0; e < p.E; ++e)
        score += c.q[static_cast<std::size_t>(i * p.E + e)] * c.k[static_cast<std::size_t>(j * p.E + e)];
      const double weight = std::exp(score / std::sqrt(static_cast<double>(p.E)));
      sum += weight;
      for (std::int64_t e = 0; e < p.Ev; ++e)
        want[static_cast<std::size_t>(i * p.Ev + e)] += weight * c.v[static_cast<std::size_t>(j * p.Ev + e)];
    }
    for (std::int64_t e = 0; e < p.Ev; ++e)
      want[static_cast<std::size_t>(i * p.Ev + e)] /= sum;
  }
  double squares = 0;
  for (int n = 0; n < draws; ++n) {
    c.omega = orthogonal ? drawn({p.M, p.E, 0}, at_step(5, static_cast<std::uint32_t>(n)))
                         : random_doubles(p.M * p.E, 1000 + static_cast<unsigned>(n));
    const double e = relative_error(c.run().out, want);
    squares += e * e / draws;
  }
  return squares;
}

TEST(RandomFeatures, ErrorAgainstTheSoftmaxFallsWithTheRootOfTheirNumberAndOrthogonalOnesAreBetter) {
  LinearProblem p{"softmax", 1, 24, 1, 8, 4, FeatureMap::given, 64};
  const double few = error_against_softmax(p, true, 60), independent = error_against_softmax(p, false, 60);
  EXPECT_LT(few, independent);
  p.M = 1024;
  const double many = error_against_softmax(p, true, 30);
  EXPECT_NEAR(std::sqrt(few / many), 4, 1) << std::sqrt(few) << " " << std::sqrt(many);
}

} // namespace
