// The loss of classes on a line: its reference against finite differences, the kernel against the reference, and what a
// user expects of it: near is cheaper than far, and strength 0 is the cross-entropy.
#include "kernels/loss/class_proximity.hpp"
#include "kernels/loss/loss.hpp"
#include "tests/kernels/rows_of_classes.hpp"
#include "tests/kernels/support.hpp"
#include <gtest/gtest.h>

using namespace weft;
using namespace weft::testing;
using weft::test::Guarded, weft::test::same_bits;

namespace {

WEFT_STORAGE_SUITE(ClassProximity);

/// What the kernel says of logits z; shares: none where empty.
template <class T>
struct Losses {
  Guarded<float> losses, hits, logits, part;
  Guarded<T> dz;
  Losses(const Doubles& z, const Doubles& shares, const std::vector<std::uint16_t>& targets, std::int64_t classes,
         float strength, bool gradient = true)
      : losses(rows), hits(rows), logits(test::stored<float>(z)), part(test::stored<float>(shares)), dz(z.size()) {
    Buffer<std::uint16_t> dev_targets(rows, "test");
    copy_to_device(dev_targets.data(), targets.data(), dev_targets.bytes());
    class_proximity(losses.data(), hits.data(), gradient ? dz.data() : nullptr, logits.data(), dev_targets.data(),
                    strength, 0.25f, rows, classes, shares.empty() ? nullptr : part.data());
  }
  bool guards_survive() const { return losses.guards_survive() && hits.guards_survive() && dz.guards_survive(); }
};

double reference_loss(const Doubles& z, std::uint16_t target, double strength) {
  double loss = NAN;
  Doubles d(z.size());
  reference::class_proximity(&loss, d.data(), z.data(), &target, strength, 1, 1, static_cast<std::int64_t>(z.size()));
  return loss;
}

TEST(Reference, ClassProximityFollowsFiniteDifferencesOfAWeightedSum) {
  const std::int64_t few = 5, classes = 7;
  const auto z = random_doubles(few * classes, 1, 2), shares = Doubles{0.5, 0, 1, 2.25, 0},
             weights = random_doubles(few, 4);
  const auto targets = some_targets(classes);
  for (const double strength : {0.0, 0.7, 3.0}) {
    const auto value = [&](const Doubles& at) {
      Doubles losses(static_cast<std::size_t>(few)), d(at.size());
      reference::class_proximity(losses.data(), d.data(), at.data(), targets.data(), strength, 1, few, classes,
                                 shares.data());
      return dot(losses, weights);
    };
    Doubles losses(static_cast<std::size_t>(few)), dz(z.size(), NAN);
    reference::class_proximity(losses.data(), dz.data(), z.data(), targets.data(), strength, 1, few, classes,
                               shares.data());
    for (std::size_t i = 0; i < dz.size(); ++i)
      dz[i] *= weights[i / static_cast<std::size_t>(classes)];
    EXPECT_AT_MOST(relative_error(dz, finite_difference(value, z)), 1e-7);
  }
}

TEST(Reference, ClassProximityIsWhatItsFormulaSays) {
  // p = 1/4, 1/2, 1/4, truth 0: -ln(1/4) + 2 (1/2 * 1/2 + 1/4 * 1)
  EXPECT_NEAR(reference_loss({0, std::log(2.0), 0}, 0, 2), std::log(4.0) + 1, 1e-12);
  EXPECT_NEAR(reference_loss({3}, 0, 2), 0, 1e-12) << "one class is no line";
}

TEST(Reference, AGuessNextToTheTruthCostsLessThanOneFarAway) {
  for (std::uint16_t target = 0; target < 10; ++target) {
    double before = 0;
    for (int away = 1; target + away < 10; ++away) { // the same doubt about the truth, spent further and further away
      Doubles z(10, -8.0);
      z[target] = 0;
      z[static_cast<std::size_t>(target + away)] = 3;
      const double cost = reference_loss(z, target, 1);
      EXPECT_GT(cost, before);
      EXPECT_NEAR(reference_loss(z, target, 0), reference_loss({0, 3, -8, -8, -8, -8, -8, -8, -8, -8}, 0, 0), 1e-12);
      before = cost;
    }
  }
}

TYPED_TEST(ClassProximity, FollowsTheReference) {
  for (const std::int64_t classes : {1, 2, 10, 257})
    for (const double strength : {0.0, 1.5}) {
      const auto z = rounded<float>(random_doubles(rows * classes, 1, 3));
      const auto targets = some_targets(classes);
      for (const Doubles& shares : {some_shares(), Doubles{}}) {
        Doubles want(rows), want_dz(z.size());
        reference::class_proximity(want.data(), want_dz.data(), z.data(), targets.data(), strength, 0.25, rows, classes,
                                   shares.empty() ? nullptr : shares.data());
        const Losses<TypeParam> got(z, shares, targets, classes, static_cast<float>(strength));
        EXPECT_AT_MOST(relative_error(test::widened(got.losses.get()), want), 3e-6);
        EXPECT_AT_MOST(relative_error(test::widened(got.dz.get()), want_dz), this->limit);
        EXPECT_TRUE(got.guards_survive());
      }
    }
}

TYPED_TEST(ClassProximity, OfRowsWithoutAShareIsZeroWhateverTheyHold) {
  expect_zero_without_a_share([](const auto& z, const auto& shares, const auto& targets, std::int64_t classes) {
    return Losses<TypeParam>(z, shares, targets, classes, 1.0f);
  });
}

TYPED_TEST(ClassProximity, CountsTheHitsOfTheCrossEntropy) {
  for (const std::int64_t classes : {1, 3, 10}) {
    auto z = rounded<float>(random_doubles(rows * classes, 5, 3));
    for (double& x : z)
      x = std::round(x / 3); // many equal ones: the first of them is the answer
    const auto targets = some_targets(classes);
    const Losses<TypeParam> got(z, {}, targets, classes, 1);
    Guarded<float> losses(rows), hits(rows), logits(test::stored<float>(z));
    Buffer<std::uint16_t> dev_targets(rows, "test");
    copy_to_device(dev_targets.data(), targets.data(), dev_targets.bytes());
    cross_entropy(losses.data(), hits.data(), static_cast<TypeParam*>(nullptr), logits.data(), dev_targets.data(), 1.0f,
                  rows, classes);
    EXPECT_TRUE(same_bits(got.hits.get(), hits.get()));
  }
}

TYPED_TEST(ClassProximity, ShowsNanInItsOwnRowAlone) {
  const std::int64_t classes = 10;
  for (const std::size_t where : {0u, 3u, 9u}) {
    auto z = rounded<float>(random_doubles(rows * classes, 1, 3));
    z[5 * classes + where] = NAN;
    const Losses<TypeParam> all(z, {}, some_targets(classes), classes, 1, false);
    const Doubles got = test::widened(all.losses.get());
    EXPECT_TRUE(std::isnan(got[5]));
    EXPECT_FALSE(std::isnan(got[4]) || std::isnan(got[6]));
  }
}

} // namespace
