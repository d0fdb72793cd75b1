// The gated linear unit and what passes a recurrence by: the references against finite differences, the kernels against
// the references.
#include "kernels/gate/glu.hpp"
#include "kernels/recurrence/skip.hpp"
#include "tests/kernels/numbers.hpp"
#include "tests/kernels/support.hpp"
#include "tests/kernels/thread_counts.hpp"
#include <cstdio>
#include <gtest/gtest.h>

using namespace weft;
using namespace weft::testing;
using weft::test::Guarded, weft::test::widened;

namespace {

WEFT_STORAGE_SUITE(GluOf);
WEFT_STORAGE_SUITE(SkipOf);

const GluShape shapes[] = {{1, 1}, {5, 9}, {64, 16}, {131, 20}, {70, 300}};

struct Glu {
  Doubles out, dboth;
};
Glu reference_glu(const GluShape& g, const Doubles& both, const Doubles& dout) {
  Glu r{Doubles(dout.size(), NAN), Doubles(both.size(), NAN)};
  reference::glu_forward(g, r.out.data(), both.data());
  reference::glu_backward(g, r.dboth.data(), dout.data(), both.data());
  return r;
}

TEST(Reference, GluGradientIsThatOfFiniteDifferences) {
  const GluShape g{3, 4};
  const Doubles both = random_doubles(24, 1), dout = random_doubles(12, 2);
  const Doubles want =
      finite_difference([&](const Doubles& at) { return dot(reference_glu(g, at, dout).out, dout); }, both);
  EXPECT_AT_MOST(relative_error(reference_glu(g, both, dout).dboth, want), 1e-9);
}

TYPED_TEST(GluOf, FollowsTheReferenceInPlace) {
  for (const GluShape& g : shapes) {
    const Doubles both = rounded<TypeParam>(random_doubles(2 * g.rows * g.width, 1, 2)),
                  dout = rounded<TypeParam>(random_doubles(g.rows * g.width, 2));
    const Glu want = reference_glu(g, both, dout);
    Guarded<TypeParam> in(test::stored<TypeParam>(both)), d(test::stored<TypeParam>(dout)), out(dout.size());
    glu_forward(g, out.data(), in.data());
    glu_backward(g, in.data(), d.data(), in.data());
    EXPECT_AT_MOST(relative_error(widened(out.get()), want.out), this->limit);
    EXPECT_AT_MOST(relative_error(widened(in.get()), want.dboth), this->limit);
    EXPECT_TRUE(in.guards_survive() && d.guards_survive() && out.guards_survive());
  }
}

TYPED_TEST(GluOf, ShowsNanInItsOwnNumbersOnly) {
  const GluShape g{2, 9};
  Doubles both = random_doubles(36, 1);
  both[3] = both[18 + 9 + 5] = NAN; // a of row 0, b of row 1
  Guarded<TypeParam> in(test::stored<TypeParam>(both)), d(test::stored<TypeParam>(random_doubles(18, 2))), out(18);
  glu_forward(g, out.data(), in.data());
  const Doubles got = widened(out.get());
  for (std::size_t i = 0; i < got.size(); ++i)
    EXPECT_EQ(std::isnan(got[i]), i == 3 || i == 9 + 5) << i;
}

struct Skip {
  Doubles y, dx, dd;
  bool clean = true;
};
struct SkipValues {
  Doubles x, y, dy, dx, d; ///< y and dx: what is added to
};
template <class T>
SkipValues skip_values(const GluShape& g) {
  const auto some = [&](unsigned seed) { return rounded<T>(random_doubles(g.rows * g.width, seed)); };
  return {some(1), some(2), some(3), some(4), rounded<float>(random_doubles(g.width, 5))};
}
Skip reference_skip(const GluShape& g, const SkipValues& v) {
  Skip r{v.y, v.dx, Doubles(v.d.size(), NAN)};
  reference::skip_forward(r.y.data(), v.x.data(), v.d.data(), g.rows, g.width);
  reference::skip_backward(r.dx.data(), r.dd.data(), v.dy.data(), v.x.data(), v.d.data(), g.rows, g.width);
  return r;
}
template <class T>
Skip kernels_skip(const GluShape& g, const SkipValues& v) {
  Guarded<T> x(test::stored<T>(v.x)), y(test::stored<T>(v.y)), dy(test::stored<T>(v.dy)), dx(test::stored<T>(v.dx));
  Guarded<float> d(test::stored<float>(v.d)), dd(v.d.size()),
      partial(static_cast<std::size_t>(column_sum_workspace(g.rows, g.width)));
  skip_forward(y.data(), x.data(), d.data(), g.rows, g.width);
  skip_backward(dx.data(), dd.data(), dy.data(), x.data(), d.data(), g.rows, g.width, partial.data());
  return {widened(y.get()), widened(dx.get()), widened(dd.get()),
          y.guards_survive() && dx.guards_survive() && dd.guards_survive() && partial.guards_survive()};
}

TEST(Reference, SkipGradientsAreThoseOfFiniteDifferences) {
  const GluShape g{3, 4};
  SkipValues v = skip_values<float>(g);
  v.dx.assign(12, 0);
  const Skip got = reference_skip(g, v);
  const auto check = [&](const Doubles& gradient, Doubles SkipValues::*of) {
    const Doubles want =
        finite_difference_by(of, v, [&](const SkipValues& at) { return dot(reference_skip(g, at).y, v.dy); });
    EXPECT_AT_MOST(relative_error(gradient, want), 1e-9);
  };
  check(got.dx, &SkipValues::x);
  check(got.dd, &SkipValues::d);
}

TYPED_TEST(SkipOf, FollowsTheReferenceAndAdds) {
  for (const GluShape& g : shapes) {
    const SkipValues v = skip_values<TypeParam>(g);
    const Skip want = reference_skip(g, v), got = kernels_skip<TypeParam>(g, v);
    EXPECT_TRUE(got.clean);
    EXPECT_AT_MOST(relative_error(got.y, want.y), this->limit);
    EXPECT_AT_MOST(relative_error(got.dx, want.dx), this->limit);
    EXPECT_AT_MOST(relative_error(got.dd, want.dd), 3e-6);
  }
}

TYPED_TEST(SkipOf, ShowsNanInItsOwnChannelOnly) {
  const GluShape g{70, 9};
  SkipValues v = skip_values<TypeParam>(g);
  v.x[40 * 9 + 4] = NAN;
  v.dy[50 * 9 + 7] = NAN;
  const Skip r = kernels_skip<TypeParam>(g, v);
  for (std::size_t i = 0; i < r.y.size(); ++i) {
    ASSERT_EQ(std::isnan(r.y[i]), i == 40 * 9 + 4) << i;
    ASSERT_EQ(std::isnan(r.dx[i]), i == 50 * 9 + 7) << i;
  }
  for (std::size_t j = 0; j < 9; ++j)
    ASSERT_EQ(std::isnan(r.dd[j]), j == 4 || j == 7) << j;
}

std::string bits() {
  test::Hash hash;
  for (const GluShape& g : shapes) {
    const Skip r = kernels_skip<bf16>(g, skip_values<bf16>(g));
    hash.add(r.y, r.dx, r.dd);
  }
  return hash.text();
}

TEST(SkipBits, DISABLED_Print) { std::puts(bits().c_str()); }

TEST(SkipBits, DoNotDependOnTheNumberOfThreads) {
  test::expect_from_threads("SkipBits.DISABLED_Print", bits(), {1, 3, 4});
}

} // namespace
