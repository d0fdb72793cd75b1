// Normalisation by the root of the mean square, with a gain per channel and with one: the reference against finite
// differences, the kernels against the reference.
#include "kernels/norm/rms_norm.hpp"
#include "tests/kernels/numbers.hpp"
#include "tests/kernels/support.hpp"
#include "tests/kernels/thread_counts.hpp"
#include <cstdio>
#include <gtest/gtest.h>

using namespace weft;
using namespace weft::testing;
using weft::test::Guarded, weft::test::widened;

namespace {

WEFT_STORAGE_SUITE(RmsNorm);

constexpr float epsilon = 1e-5f;
const RmsShape shapes[] = {{1, 1},       {5, 7},       {64, 32},       {131, 301},
                           {1, 1, true}, {5, 7, true}, {64, 32, true}, {131, 301, true}};

TEST(Reference, RmsNormGradientsAreThoseOfFiniteDifferences) {
  for (const bool one_gain : {false, true}) {
    const RmsShape shape{3, 5, one_gain};
    const Doubles x = random_doubles(15, 1), gain = random_doubles(shape.gains(), 3), dout = random_doubles(15, 2);
    const auto loss = [&](const Doubles& at, const Doubles& by) {
      Doubles out(15), r(3);
      reference::rms_norm_forward(shape, out.data(), r.data(), at.data(), by.data(), 0.1);
      return dot(out, dout);
    };
    Doubles out(15), r(3), dx(15, NAN), dgain(gain.size(), NAN);
    reference::rms_norm_forward(shape, out.data(), r.data(), x.data(), gain.data(), 0.1);
    reference::rms_norm_backward(shape, dx.data(), dgain.data(), dout.data(), x.data(), r.data(), gain.data());
    EXPECT_AT_MOST(relative_error(dx, finite_difference([&](const Doubles& at) { return loss(at, gain); }, x)), 1e-9);
    EXPECT_AT_MOST(relative_error(dgain, finite_difference([&](const Doubles& by) { return loss(x, by); }, gain)),
                   1e-9);
  }
}

TEST(Reference, RmsNormDividesByTheRootOfTheMeanSquare) {
  const Doubles x = {3, 4, 0, 0}, gain = {2, -1, 5, 5};
  Doubles out(4), r(1);
  reference::rms_norm_forward({1, 4}, out.data(), r.data(), x.data(), gain.data(), 0);
  EXPECT_AT_MOST(relative_error(out, {2.4, -1.6, 0, 0}), 1e-15);
  reference::rms_norm_forward({1, 4, true}, out.data(), r.data(), x.data(), gain.data(), 0);
  EXPECT_AT_MOST(relative_error(out, {2.4, 3.2, 0, 0}), 1e-15);
}

struct Result {
  Doubles out, again, dx, added, dgain;
  bool clean;
};

Doubles gains_of(const RmsShape& s) { return rounded<float>(random_doubles(s.gains(), 7)); }

template <class T>
Result kernels_of(const RmsShape& s, const Doubles& x, const Doubles& dout) {
  Guarded<T> from(test::stored<T>(x)), d(test::stored<T>(dout)), out(x.size()), again(x.size()),
      dx(test::stored<T>(dout)), added(test::stored<T>(x));
  Guarded<float> r(static_cast<std::size_t>(s.rows)), gain(test::stored<float>(gains_of(s))), dgain(gain.size()),
      dgain_again(gain.size()), partial(static_cast<std::size_t>(norm_workspace(s.rows, s.width)));
  rms_norm_forward(s, out.data(), r.data(), from.data(), gain.data(), epsilon);
  rms_norm_again(s, again.data(), r.data(), from.data(), gain.data());
  rms_norm_backward<T>(s, added.data(), dgain_again.data(), d.data(), from.data(), r.data(), gain.data(),
                       partial.data());
  rms_norm_backward<T>(s, dx.data(), dgain.data(), dx.data(), from.data(), r.data(), gain.data(), partial.data(),
                       Into::overwrite);
  bool clean = r.guards_survive() && dgain.guards_survive() && partial.guards_survive();
  for (const Guarded<T>* one : {&out, &again, &dx, &added})
    clean = clean && one->guards_survive();
  return {widened(out.get()),   widened(again.get()), widened(dx.get()),
          widened(added.get()), widened(dgain.get()), clean && dgain.get() == dgain_again.get()};
}

TYPED_TEST(RmsNorm, FollowsTheReferenceInPlaceAndAdded) {
  for (const RmsShape& s : shapes) {
    const auto x = rounded<TypeParam>(random_doubles(s.rows * s.width, 1)),
               dout = rounded<TypeParam>(random_doubles(s.rows * s.width, 2));
    const Doubles gain = gains_of(s);
    Doubles out(x.size()), r(static_cast<std::size_t>(s.rows)), dx(x.size()), dgain(gain.size());
    reference::rms_norm_forward(s, out.data(), r.data(), x.data(), gain.data(), double(epsilon));
    reference::rms_norm_backward(s, dx.data(), dgain.data(), dout.data(), x.data(), r.data(), gain.data());
    const Result got = kernels_of<TypeParam>(s, x, dout);
    EXPECT_TRUE(got.clean);
    EXPECT_AT_MOST(relative_error(got.out, out), this->limit);
    EXPECT_EQ(got.again, got.out);
    if (s.width > 1) { // one number is always the same but for epsilon
      EXPECT_AT_MOST(relative_error(got.dx, dx), this->limit);
    }
    EXPECT_AT_MOST(relative_error(got.dgain, dgain), 2e-5); // of terms that cancel
    for (std::size_t i = 0; i < dx.size(); ++i)
      dx[i] += x[i];
    EXPECT_AT_MOST(relative_error(got.added, dx), this->limit);
  }
}

TYPED_TEST(RmsNorm, ShowsNanInItsOwnRowOnly) {
  for (const bool one_gain : {false, true}) {
    Doubles x = random_doubles(630, 1);
    x[66 * 9 + 4] = NAN;
    const Result got = kernels_of<TypeParam>({70, 9, one_gain}, x, random_doubles(630, 2));
    for (std::size_t i = 0; i < 630; ++i) {
      EXPECT_EQ(std::isnan(got.out[i]), i / 9 == 66);
      EXPECT_EQ(std::isnan(got.dx[i]), i / 9 == 66);
    }
    for (const double d : got.dgain)
      EXPECT_TRUE(std::isnan(d));
  }
}

std::string bits() {
  test::Hash hash;
  for (const RmsShape& s : shapes) {
    const Result r = kernels_of<bf16>(s, random_doubles(s.rows * s.width, 1), random_doubles(s.rows * s.width, 2));
    hash.add(r.out, r.dx, r.dgain);
  }
  return hash.text();
}

TEST(RmsNormBits, DISABLED_Print) { std::puts(bits().c_str()); }

TEST(RmsNormBits, DoNotDependOnTheNumberOfThreads) {
  test::expect_from_threads("RmsNormBits.DISABLED_Print", bits(), {1, 3, 4});
}

} // namespace
