// Sinkhorn's normalisation.
#include "kernels/sinkhorn/sinkhorn.hpp"
#include "tests/kernels/numbers.hpp"
#include "tests/kernels/sinkhorn_support.hpp"
#include "tests/kernels/support.hpp"
#include "tests/kernels/thread_counts.hpp"
#include <gtest/gtest.h>

using namespace weft;
using namespace weft::testing;
using weft::test::Guarded, weft::test::widened;

namespace {

WEFT_STORAGE_SUITE(SinkhornKernels);

struct Matrices {
  SinkhornShape shape;
  Doubles logits;                   ///< (S, n, H, M), exact in fp32
  std::vector<unsigned char> alive; ///< (S, n)
};

Matrices some_matrices(std::int64_t S, std::int64_t H, std::int64_t n, std::int64_t M, std::int64_t iterations,
                       float tau, double scale = 2) {
  Matrices m{{S, H, n, M, iterations, tau}, rounded<float>(random_doubles(S * n * H * M, 7, scale)), {}};
  for (std::int64_t s = 0; s < S; ++s)
    for (std::int64_t i = 0; i < n; ++i)
      m.alive.push_back(s == 2 ? 0 : s == 1 ? i % 3 != 1 : 1); // all, some, none
  return m;
}

/// The logits of one matrix as the reference takes them.
Doubles one_matrix(const Matrices& m, std::int64_t s, std::int64_t h) {
  const SinkhornShape& a = m.shape;
  Doubles out;
  for (std::int64_t i = 0; i < a.blocks; ++i)
    for (std::int64_t k = 0; k < a.blocks; ++k)
      out.push_back(m.logits[size_of(((s * a.blocks + i) * a.heads + h) * a.most + k)]);
  return out;
}

struct Normalised {
  Doubles p, dlogits;
  bool clean;
};

template <class T>
Normalised normalise(const Matrices& m, const Doubles& dp, bool some_dead, const Dropout* noise = nullptr) {
  const SinkhornShape& a = m.shape;
  Guarded<float> logits(test::stored<float>(m.logits)), p(size_of(a.entries())), x(size_of(a.entries())),
      potentials(size_of(a.potentials())), slopes(test::stored<float>(dp));
  Guarded<T> dlogits(m.logits.size());
  const Buffer<unsigned char> alive = buffer_of(m.alive);
  const unsigned char* lives = some_dead ? alive.data() : nullptr;
  sinkhorn_forward(a, p.data(), x.data(), potentials.data(), logits.data(), lives, noise);
  sinkhorn_backward(a, dlogits.data(), slopes.data(), p.data(), x.data(), potentials.data());
  return {widened(p.get()), widened(dlogits.get()),
          logits.guards_survive() && p.guards_survive() && x.guards_survive() && potentials.guards_survive() &&
              slopes.guards_survive() && dlogits.guards_survive()};
}

TEST(Sinkhorn, GradientIsThatOfFiniteDifferences) {
  const std::int64_t n = 5;
  const Doubles logits = random_doubles(n * n, 1), dp = random_doubles(n * n, 2);
  const std::vector<unsigned char> some = {1, 0, 1, 1, 1};
  for (const unsigned char* alive : {static_cast<const unsigned char*>(nullptr), some.data()})
    for (const std::int64_t iterations : {1, 7}) {
      Doubles dlogits(logits.size());
      reference::sinkhorn_backward(dlogits.data(), dp.data(), logits.data(), n, iterations, 0.75, alive);
      const Doubles slope = finite_difference(
          [&](const Doubles& at) {
            Doubles p(at.size());
            reference::sinkhorn_forward(p.data(), at.data(), n, iterations, 0.75, alive);
            return dot(p, dp);
          },
          logits);
      EXPECT_AT_MOST(relative_error(dlogits, slope), 1e-8);
    }
}

TEST(Sinkhorn, RowsAndColumnsSumToOneAfterTwentySteps) {
  const std::int64_t n = 40;
  const Matrices m = some_matrices(2, 2, n, n, 20, 0.75f, 1);
  const Normalised got = normalise<float>(m, Doubles(size_of(m.shape.entries()), 1), true);
  for (std::int64_t s = 0; s < 2; ++s)
    for (std::int64_t h = 0; h < 2; ++h)
      for (std::int64_t i = 0; i < n; ++i) {
        double row = 0, column = 0;
        for (std::int64_t k = 0; k < n; ++k) {
          row += got.p[size_of(((s * 2 + h) * n + i) * n + k)];
          column += got.p[size_of(((s * 2 + h) * n + k) * n + i)];
        }
        const double want = m.alive[size_of(s * n + i)];
        EXPECT_NEAR(row, want, 1e-3);
        EXPECT_NEAR(column, want, 1e-5); // the last step was theirs
      }
}

TYPED_TEST(SinkhornKernels, NormalisationFollowsTheReference) {
  for (const Matrices& m : {some_matrices(3, 2, 1, 1, 1, 1.0f), some_matrices(3, 1, 5, 9, 1, 0.5f),
                            some_matrices(3, 2, 33, 40, 8, 0.75f), some_matrices(1, 3, 80, 80, 5, 2.0f)})
    for (const bool some_dead : {false, true}) {
      const SinkhornShape& a = m.shape;
      const std::int64_t nn = a.blocks * a.blocks;
      const Doubles dp = rounded<float>(random_doubles(a.entries(), 3));
      const Normalised got = normalise<TypeParam>(m, dp, some_dead);
      EXPECT_TRUE(got.clean);
      Doubles want(got.p.size()), dwant(m.logits.size(), 0);
      for (std::int64_t s = 0; s < a.sequences; ++s)
        for (std::int64_t h = 0; h < a.heads; ++h) {
          const std::int64_t at = (s * a.heads + h) * nn;
          const unsigned char* alive = some_dead ? m.alive.data() + s * a.blocks : nullptr;
          const Doubles logits = one_matrix(m, s, h);
          Doubles dlogits(logits.size());
          reference::sinkhorn_forward(want.data() + at, logits.data(), a.blocks, a.iterations,
                                      static_cast<double>(a.temperature), alive);
          reference::sinkhorn_backward(dlogits.data(), dp.data() + at, logits.data(), a.blocks, a.iterations,
                                       static_cast<double>(a.temperature), alive);
          for (std::int64_t i = 0; i < a.blocks; ++i)
            for (std::int64_t k = 0; k < a.blocks; ++k)
              dwant[size_of(((s * a.blocks + i) * a.heads + h) * a.most + k)] = dlogits[size_of(i * a.blocks + k)];
        }
      EXPECT_AT_MOST(test::difference(got.p, want), 5e-6);
      if (a.blocks > 1) { // alone, a block is its own place whatever the logits say
        EXPECT_AT_MOST(relative_error(got.dlogits, dwant), 2 * this->limit + 5e-6);
      }
      for (std::size_t i = 0; i < got.p.size(); ++i)
        ASSERT_EQ(got.p[i] == 0, want[i] == 0) << "a dead block is sorted";
    }
}

TYPED_TEST(SinkhornKernels, NanOfALogitStaysInItsMatrix) {
  Matrices m = some_matrices(2, 2, 6, 6, 3, 1.0f);
  m.logits[size_of(((0 * 6 + 2) * 2 + 1) * 6 + 4)] = NAN; // sequence 0, row 2, head 1, column 4
  const Normalised got = normalise<TypeParam>(m, Doubles(size_of(m.shape.entries()), 1), false);
  for (std::size_t i = 0; i < got.p.size(); ++i)
    EXPECT_EQ(std::isnan(got.p[i]), i / 36 == 1) << i;
}

TEST(Sinkhorn, NoiseIsGumbelsAndAFunctionOfItsPlace) {
  // With one step over two blocks P shows the difference of two noises; many of them have a logistic distribution.
  const std::int64_t S = 50, H = 40;
  Matrices m{{S, H, 2, 2, 1, 1.0f}, Doubles(size_of(S * 2 * H * 2), 0.0), {}};
  m.alive.assign(size_of(2 * S), 1);
  Dropout noise;
  noise.seed = 5;
  noise.step = 3;
  noise.first_sample = 8;
  noise.tensor = 2;
  const Doubles dp(size_of(m.shape.entries()), 0.0), p = normalise<float>(m, dp, false, &noise).p;
  EXPECT_EQ(normalise<float>(m, dp, false, &noise).p, p);
  double mean = 0, square = 0;
  for (std::int64_t i = 0; i < S * H; ++i) {
    // Rows first: log (p00 p11 / (p01 p10)) keeps g00 + g11 - g01 - g10, whose variance is 4 pi^2 / 6.
    const double *one = &p[size_of(4 * i)], d = std::log(one[0] * one[3] / (one[1] * one[2]));
    mean += d / static_cast<double>(S * H);
    square += d * d / static_cast<double>(S * H);
  }
  EXPECT_NEAR(mean, 0, 0.25);
  EXPECT_NEAR(square, 4 * M_PI * M_PI / 6, 0.6);
  // The same sequence elsewhere in a micro-batch, and in a shorter one.
  Dropout later = noise;
  later.first_sample = 9;
  const Doubles moved = normalise<float>(m, dp, false, &later).p;
  for (std::size_t i = 0; i < size_of(4 * H * (S - 1)); ++i)
    ASSERT_EQ(moved[i], p[i + size_of(4 * H)]);
  later = noise;
  later.step = 4;
  EXPECT_NE(normalise<float>(m, dp, false, &later).p, p);
}

std::string hash_of_one() {
  test::Hash hash;
  const Matrices m = some_matrices(2, 3, 40, 41, 7, 0.75f);
  const Normalised n = normalise<bf16>(m, random_doubles(m.shape.entries(), 3), true);
  hash.add(n.p);
  hash.add(n.dlogits);
  return hash.text();
}

TEST(SinkhornThreads, DISABLED_PrintBits) { std::printf("%s\n", hash_of_one().c_str()); }
TEST(SinkhornThreads, HasTheSameBitsWithAnyNumberOfThreads) {
  test::expect_from_threads("SinkhornThreads.DISABLED_PrintBits", hash_of_one(), {1, 2, 5});
}

} // namespace
