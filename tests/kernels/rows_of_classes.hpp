// Rows of logits with targets and shares, for the tests of losses.
#pragma once
#include "tests/kernels/numbers.hpp"
#include "tests/kernels/support.hpp"
#include <algorithm>
#include <vector>

namespace weft::testing {

constexpr std::int64_t rows = 37;

/// 0 in every third row, else something between 0.25 and 2.
inline Doubles some_shares() {
  Doubles shares;
  for (int i = 0; i < rows; ++i)
    shares.push_back(i % 3 == 1 ? 0 : 0.25 + 0.125 * (i % 15));
  return shares;
}

inline std::vector<std::uint16_t> some_targets(std::int64_t classes) {
  std::vector<std::uint16_t> targets;
  for (int i = 0; i < rows; ++i)
    targets.push_back(static_cast<std::uint16_t>(i * 7 % classes));
  return targets;
}

/// Rows without a share have no loss, no hit and no gradient, whatever their logits and targets hold; the others have.
/// losses_of(z, shares, targets, classes) has losses, hits and dz.
template <class Function>
void expect_zero_without_a_share(const Function& losses_of) {
  const std::int64_t classes = 10;
  auto z = rounded<float>(random_doubles(rows * classes, 1, 3));
  const auto shares = some_shares();
  auto targets = some_targets(classes);
  for (std::size_t i = 0; i < rows; ++i)
    if (shares[i] == 0) {
      targets[i] = 0xffff; // far behind the logits
      std::fill_n(z.begin() + static_cast<std::ptrdiff_t>(i) * classes, classes, NAN);
    }
  const auto all = losses_of(z, shares, targets, classes);
  const Doubles got = test::widened(all.losses.get()), hits = test::widened(all.hits.get()),
                dz = test::widened(all.dz.get());
  for (std::size_t i = 0; i < rows; ++i) {
    const Doubles row(dz.begin() + static_cast<std::ptrdiff_t>(i) * classes,
                      dz.begin() + static_cast<std::ptrdiff_t>(i + 1) * classes);
    if (shares[i] == 0) {
      EXPECT_EQ(got[i], 0);
      EXPECT_EQ(hits[i], 0);
      EXPECT_EQ(test::largest(row), 0);
    } else {
      EXPECT_GT(got[i], 0);
      EXPECT_GT(test::largest(row), 0); // and not NaN
    }
  }
}

} // namespace weft::testing
