// Features of two documents: the reference against finite differences, the fast version against the reference.
#include "kernels/pairs/pairs.hpp"
#include "tests/kernels/numbers.hpp"
#include "tests/kernels/support.hpp"
#include <gtest/gtest.h>

using namespace weft;
using namespace weft::testing;
using weft::test::Guarded, weft::test::widened;

namespace {

constexpr PairFeatures kinds[] = {PairFeatures::both, PairFeatures::second_first, PairFeatures::four};

WEFT_STORAGE_SUITE(Pairs);

TEST(Reference, PairFeaturesAreWhatTheirNamesSay) {
  const Doubles x = {2, 3, /* second */ 5, 7};
  const std::vector<Doubles> want = {{2, 3, 5, 7}, {5, 7, 2, 3}, {2, 3, 5, 7, 10, 21, -3, -4}};
  for (std::size_t k = 0; k < 3; ++k) {
    Doubles features(static_cast<std::size_t>(pair_width(kinds[k], 2)));
    reference::pairs_forward(features.data(), x.data(), kinds[k], 1, 2);
    EXPECT_EQ(features, want[k]);
  }
}

TEST(Reference, PairGradientsAreThoseOfFiniteDifferences) {
  const std::int64_t pairs = 3, width = 4;
  const auto x = random_doubles(2 * pairs * width, 1);
  for (const PairFeatures kind : kinds) {
    const auto d = random_doubles(pairs * pair_width(kind, width), 2);
    Doubles dx(x.size(), NAN);
    reference::pairs_backward(dx.data(), d.data(), x.data(), kind, pairs, width);
    EXPECT_AT_MOST(relative_error(dx, finite_difference(
                                          [&](const Doubles& at) {
                                            Doubles features(d.size());
                                            reference::pairs_forward(features.data(), at.data(), kind, pairs, width);
                                            return dot(features, d);
                                          },
                                          x)),
                   1e-7);
  }
}

TYPED_TEST(Pairs, FollowTheReference) {
  for (const auto& [pairs, width] : {std::pair<std::int64_t, std::int64_t>{1, 1}, {5, 8}, {33, 130}})
    for (const PairFeatures kind : kinds) {
      const auto x = rounded<TypeParam>(random_doubles(2 * pairs * width, 1)),
                 d = rounded<TypeParam>(random_doubles(pairs * pair_width(kind, width), 2));
      Doubles features(d.size()), dx(x.size());
      reference::pairs_forward(features.data(), x.data(), kind, pairs, width);
      reference::pairs_backward(dx.data(), d.data(), x.data(), kind, pairs, width);
      Guarded<TypeParam> from(test::stored<TypeParam>(x)), dfrom(test::stored<TypeParam>(d)), got(d.size()),
          got_dx(x.size());
      pairs_forward(got.data(), from.data(), kind, pairs, width);
      pairs_backward(got_dx.data(), dfrom.data(), from.data(), kind, pairs, width);
      EXPECT_AT_MOST(relative_error(widened(got.get()), features), this->limit);
      EXPECT_AT_MOST(relative_error(widened(got_dx.get()), dx), this->limit);
      EXPECT_TRUE(got.guards_survive() && got_dx.guards_survive());
    }
}

TYPED_TEST(Pairs, ShowNanInTheirOwnPairOnly) {
  auto x = random_doubles(2 * 3 * 4, 1);
  x[(3 + 1) * 4 + 2] = NAN; // the second document of pair 1
  Guarded<TypeParam> from(test::stored<TypeParam>(x)), got(3 * 16);
  pairs_forward(got.data(), from.data(), PairFeatures::four, 3, 4);
  const Doubles features = widened(got.get());
  for (std::size_t i = 0; i < features.size(); ++i)
    EXPECT_EQ(std::isnan(features[i]), i / 16 == 1 && i % 4 == 2 && i % 16 >= 4) << i;
}

} // namespace
