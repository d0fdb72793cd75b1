// Cross-entropy with a share for each row: rows that count less, more, or not at all.
#include "kernels/loss/loss.hpp"
#include "tests/kernels/rows_of_classes.hpp"
#include "tests/kernels/support.hpp"
#include <gtest/gtest.h>

using namespace weft;
using namespace weft::testing;
using weft::test::Guarded, weft::test::same_bits;

namespace {

WEFT_STORAGE_SUITE(Loss);

std::vector<float> floats(const Doubles& values) { return test::stored<float>(values); }

/// What the kernel says of logits z.
template <class T>
struct Losses {
  Guarded<float> losses, hits, logits, part;
  Guarded<T> dz;
  Losses(const Doubles& z, const Doubles& shares, const std::vector<std::uint16_t>& targets, std::int64_t classes)
      : losses(rows), hits(rows), logits(floats(z)), part(floats(shares)), dz(z.size()) {
    Buffer<std::uint16_t> dev_targets(rows, "test");
    copy_to_device(dev_targets.data(), targets.data(), dev_targets.bytes());
    cross_entropy(losses.data(), hits.data(), dz.data(), logits.data(), dev_targets.data(), 0.25f, rows, classes,
                  part.data());
  }
};

TEST(Reference, LossWithSharesFollowsFiniteDifferences) {
  const std::int64_t few = 5, classes = 7;
  const auto z = random_doubles(few * classes, 1, 2), shares = Doubles{0.5, 0, 1, 2.25, 0};
  const auto targets = some_targets(classes);
  const auto value = [&](const Doubles& at) {
    Doubles losses(static_cast<std::size_t>(few)), d(at.size());
    reference::cross_entropy(losses.data(), d.data(), at.data(), targets.data(), 1, few, classes, shares.data());
    double sum = 0;
    for (const double loss : losses)
      sum += 0.25 * loss;
    return sum;
  };
  Doubles losses(static_cast<std::size_t>(few)), dz(z.size(), NAN);
  reference::cross_entropy(losses.data(), dz.data(), z.data(), targets.data(), 0.25, few, classes, shares.data());
  EXPECT_AT_MOST(relative_error(dz, finite_difference(value, z)), 1e-7);
}

TYPED_TEST(Loss, WithSharesFollowsTheReference) {
  for (const std::int64_t classes : {1, 2, 10, 256, 1025}) {
    const auto z = rounded<float>(random_doubles(rows * classes, 1, 3)), shares = some_shares();
    const auto targets = some_targets(classes);
    Doubles want(rows), want_dz(z.size());
    reference::cross_entropy(want.data(), want_dz.data(), z.data(), targets.data(), 0.25, rows, classes, shares.data());
    const Losses<TypeParam> got(z, shares, targets, classes);
    EXPECT_AT_MOST(relative_error(test::widened(got.losses.get()), want), 3e-6);
    EXPECT_AT_MOST(relative_error(test::widened(got.dz.get()), want_dz), this->limit);
    EXPECT_TRUE(got.losses.guards_survive() && got.hits.guards_survive() && got.dz.guards_survive());
  }
}

TYPED_TEST(Loss, OfRowsWithoutAShareIsZeroWhateverTheyHold) {
  expect_zero_without_a_share([](const auto& z, const auto& shares, const auto& targets, std::int64_t classes) {
    return Losses<TypeParam>(z, shares, targets, classes);
  });
}

TYPED_TEST(Loss, WithSharesOfOneHasTheBitsOfNone) {
  const std::int64_t classes = 53;
  const auto z = rounded<float>(random_doubles(rows * classes, 1, 3));
  const auto targets = some_targets(classes);
  Guarded<float> losses(rows), hits(rows), logits(floats(z)), ones(floats(Doubles(rows, 1))), losses1(rows),
      hits1(rows);
  Guarded<TypeParam> dz(z.size()), dz1(z.size());
  Buffer<std::uint16_t> dev_targets(rows, "test");
  copy_to_device(dev_targets.data(), targets.data(), dev_targets.bytes());
  cross_entropy(losses.data(), hits.data(), dz.data(), logits.data(), dev_targets.data(), 0.3f, rows, classes);
  cross_entropy(losses1.data(), hits1.data(), dz1.data(), logits.data(), dev_targets.data(), 0.3f, rows, classes,
                ones.data());
  EXPECT_TRUE(same_bits(losses.get(), losses1.get()));
  EXPECT_TRUE(same_bits(hits.get(), hits1.get()));
  EXPECT_TRUE(same_bits(dz.get(), dz1.get()));
}

TYPED_TEST(Loss, ShowsNanInRowsThatCount) {
  const std::int64_t classes = 10;
  auto z = rounded<float>(random_doubles(rows * classes, 1, 3));
  z[5 * classes + 3] = NAN; // row 5 has a share
  const auto targets = some_targets(classes);
  Guarded<float> losses(rows), hits(rows), logits(floats(z)), part(floats(some_shares()));
  Buffer<std::uint16_t> dev_targets(rows, "test");
  copy_to_device(dev_targets.data(), targets.data(), dev_targets.bytes());
  cross_entropy(losses.data(), hits.data(), static_cast<TypeParam*>(nullptr), logits.data(), dev_targets.data(), 0.25f,
                rows, classes, part.data());
  const Doubles got = test::widened(losses.get());
  EXPECT_TRUE(std::isnan(got[5]));
  EXPECT_FALSE(std::isnan(got[6]));
}

} // namespace
