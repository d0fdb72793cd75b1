// Every form of the activation: the reference against finite differences, the fast version against the reference.
#include "kernels/activation/activation.hpp"
#include "tests/kernels/numbers.hpp"
#include "tests/kernels/support.hpp"
#include <gtest/gtest.h>

using namespace weft;
using namespace weft::testing;
using weft::test::Guarded, weft::test::same_bits;

namespace {

constexpr Activation kinds[] = {Activation::sigmoid_gelu, Activation::gelu_tanh, Activation::gelu,
                                Activation::relu,         Activation::silu,      Activation::tanh};

template <class T>
struct Activations : ::testing::Test {
  static constexpr double limit = std::is_same_v<T, float> ? 3e-6 : std::is_same_v<T, bf16> ? 6e-3 : 8e-4;
};
using Types = ::testing::Types<float, bf16, fp16>;
TYPED_TEST_SUITE(Activations, Types);

/// f(u) and dout f'(u), and dbias, as the fast version gives them.
template <class T>
struct Results {
  std::vector<T> out, again, du;
  std::vector<float> dbias;
  bool guards = false;
};

template <class T>
Results<T> run(Activation kind, const Doubles& u, const Doubles& dout, std::int64_t rows, std::int64_t width) {
  Guarded<T> x(test::stored<T>(u)), out(u.size()), again(u.size()), du(test::stored<T>(dout));
  Guarded<float> dbias(static_cast<std::size_t>(width));
  Buffer<float> partial(column_sum_workspace(rows, width), "test");
  activation_forward(out.data(), x.data(), rows * width, kind);
  activation_backward(again.data(), du.data(), dbias.data(), du.data(), x.data(), rows, width, partial.data(),
                      kind); // in place
  return {out.get(), again.get(), du.get(), dbias.get(),
          x.guards_survive() && out.guards_survive() && again.guards_survive() && du.guards_survive() &&
              dbias.guards_survive()};
}

TEST(Reference, ActivationsFollowTheirFormulasAndFiniteDifferences) {
  Doubles u = random_doubles(40, 1, 2), dout = random_doubles(40, 2);
  for (double& x : u)
    x += x < 0 ? -0.01 : 0.01; // away from the kink of relu
  for (const Activation kind : kinds) {
    Doubles du(u.size(), NAN);
    reference::activation_backward(du.data(), dout.data(), u.data(), 40, kind);
    EXPECT_AT_MOST(relative_error(du, finite_difference(
                                          [&](const Doubles& at) {
                                            Doubles y(at.size());
                                            reference::activation_forward(y.data(), at.data(), 40, kind);
                                            return dot(y, dout);
                                          },
                                          u)),
                   1e-7);
  }
  // Values from the published definitions, to the digits given.
  const double at = 1.5;
  const double want[] = {1.5 / (1 + std::exp(-2.553)), 1.399572, 1.399789, 1.5, 1.226362, 0.905148};
  for (std::size_t k = 0; k < 6; ++k) {
    double got = NAN;
    reference::activation_forward(&got, &at, 1, kinds[k]);
    EXPECT_NEAR(got, want[k], 1e-6);
  }
}

TYPED_TEST(Activations, FollowTheReferenceInPlaceAndSumTheBias) {
  for (const auto& [rows, width] : {std::pair<std::int64_t, std::int64_t>{1, 1}, {133, 301}, {70, 8}})
    for (const Activation kind : kinds) {
      const auto n = rows * width;
      const auto u = rounded<TypeParam>(random_doubles(n, 1, 3)), dout = rounded<TypeParam>(random_doubles(n, 2));
      Doubles out(u.size()), du(u.size());
      reference::activation_forward(out.data(), u.data(), n, kind);
      reference::activation_backward(du.data(), dout.data(), u.data(), n, kind);
      const auto got = run<TypeParam>(kind, u, dout, rows, width);
      EXPECT_AT_MOST(relative_error(test::widened(got.out), out), this->limit);
      EXPECT_TRUE(same_bits(got.again, got.out));
      EXPECT_AT_MOST(relative_error(test::widened(got.du), du), this->limit);
      Doubles dbias(static_cast<std::size_t>(width), 0);
      for (std::size_t i = 0; i < got.du.size(); ++i)
        dbias[i % dbias.size()] += load(got.du[i]);
      EXPECT_AT_MOST(relative_error(test::widened(got.dbias), dbias), 3e-6);
      EXPECT_TRUE(got.guards);
    }
}

// Number by number, not in the mean: the polynomial of the exact form holds in both tails.
TEST(ActivationForms, AreAccurateEverywhere) {
  Doubles u, ones;
  for (double x = -6; x <= 6; x += 0.0137)
    u.push_back(static_cast<double>(static_cast<float>(x)));
  ones.assign(u.size(), 1);
  const auto n = static_cast<std::int64_t>(u.size());
  for (const Activation kind : kinds) {
    Doubles out(u.size()), du(u.size());
    reference::activation_forward(out.data(), u.data(), n, kind);
    reference::activation_backward(du.data(), ones.data(), u.data(), n, kind);
    const auto got = run<float>(kind, u, ones, n, 1);
    for (std::size_t i = 0; i < u.size(); ++i) {
      EXPECT_AT_MOST(std::fabs(got.out[i] - out[i]) / (std::fabs(out[i]) + 1e-12), 4e-5) << u[i];
      EXPECT_AT_MOST(std::fabs(got.out[i] - out[i]), 1e-6) << u[i];
      EXPECT_AT_MOST(std::fabs(got.du[i] - du[i]), 2e-6) << u[i];
    }
  }
}

TYPED_TEST(Activations, KeepNanAndAreFiniteForLargeNumbers) {
  const Doubles u = {NAN, 60000, -60000, 300, -300, 0, 20, -20}, ones(u.size(), 1);
  for (const Activation kind : kinds) {
    const auto got = run<TypeParam>(kind, u, ones, 1, static_cast<std::int64_t>(u.size()));
    const Doubles out = test::widened(got.out), du = test::widened(got.du);
    EXPECT_TRUE(std::isnan(out[0]));
    EXPECT_TRUE(std::isnan(du[0]));
    for (std::size_t i = 1; i < u.size(); ++i) {
      const double sign = u[i] > 0 ? 1 : u[i] < 0 ? -1 : 0;
      if (kind == Activation::tanh) {
        EXPECT_AT_MOST(std::fabs(out[i] - sign), 1e-6) << u[i];
        EXPECT_AT_MOST(std::fabs(du[i] - (1 - sign * sign)), 1e-6) << u[i];
        continue;
      }
      EXPECT_AT_MOST(std::fabs(out[i] - std::max(load(store<TypeParam>(static_cast<float>(u[i]))), 0.0f)), 1e-6)
          << u[i];
      EXPECT_AT_MOST(std::fabs(du[i] - (u[i] > 0 ? 1 : u[i] < 0 || kind == Activation::relu ? 0 : 0.5)), 1e-6) << u[i];
    }
  }
}

TEST(ActivationForms, HaveFiniteSlopesForVeryLargeNumbers) {
  const Doubles u = {1e30, -1e30}, ones(2, 1);
  for (const Activation kind : kinds) {
    const auto got = run<float>(kind, u, ones, 1, 2);
    EXPECT_EQ(got.du[0], kind == Activation::tanh ? 0.0f : 1.0f);
    EXPECT_AT_MOST(std::fabs(got.du[1]), 1e-6);
  }
}

} // namespace
