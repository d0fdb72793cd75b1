// Promise: two sources of scores get shares that add up to one, and the share learns from what each would have changed.
#include "kernels/sum/sum.hpp"
#include "kernels/synthesizer/mixture.hpp"
#include "tests/kernels/kernel_test.hpp"
#include <cmath>

namespace {

WEFT_STORAGE_SUITE(Mixture);

/// B, N, H, E, Ev, F, stride, longest, factor.
const JoinShape shapes[] = {
    {1, 1, 1, 3, 1, 0, 7, 1, 1.0f}, {2, 7, 3, 4, 5, 4, 50, 9, 2.0f}, {3, 70, 2, 5, 6, 9, 31, 70, 1.5f}};
const double numbers[] = {0, -1.5, 2, 60, -60};

TEST(Reference, MixtureGradientsAreThoseOfFiniteDifferences) {
  const Doubles products = random_doubles(12, 1), synthetic = random_doubles(12, 2), dmixed = random_doubles(12, 3);
  for (const double a : {0.0, -1.5, 2.0}) {
    Doubles dproducts(12), dsynthetic(12), da(1);
    reference::mixture_backward(12, dproducts.data(), dsynthetic.data(), da.data(), dmixed.data(), products.data(),
                                synthetic.data(), a);
    const auto value = [&](const Doubles& p, const Doubles& q, const Doubles& x) {
      Doubles mixed(12);
      reference::mixture_forward(12, mixed.data(), p.data(), q.data(), x[0]);
      return dot(mixed, dmixed);
    };
    const auto slope = [](const std::function<double(const Doubles&)>& f, const Doubles& x) {
      return finite_difference(f, x);
    };
    const Doubles one{a};
    EXPECT_AT_MOST(
        relative_error(dproducts, slope([&](const Doubles& x) { return value(x, synthetic, one); }, products)), 1e-9);
    EXPECT_AT_MOST(
        relative_error(dsynthetic, slope([&](const Doubles& x) { return value(products, x, one); }, synthetic)), 1e-9);
    EXPECT_AT_MOST(relative_error(da, slope([&](const Doubles& x) { return value(products, synthetic, x); }, one)),
                   1e-9);
  }
}

/// The part of joined rows that belongs to queries (features: false) or to their features.
bool is_query(const JoinShape& s, std::int64_t column, bool features) {
  const std::int64_t W = s.key_width + s.features;
  return column < s.heads * W && (column % W >= s.key_width) == features;
}

TYPED_TEST(Mixture, WeighsQueriesAndFeaturesAndGetsTheGradientOfTheirProducts) {
  using T = TypeParam;
  for (const JoinShape& s : shapes)
    for (const double a : numbers) {
      const std::int64_t n = s.sequences * s.length * joined_width(s);
      const Doubles x = rounded<T>(random_doubles(n, 1)), slopes = rounded<T>(random_doubles(n, 2));
      Guarded<T> joined(as_stored<T>(x)), djoined(as_stored<T>(slopes));
      Buffer<float> number = to_device<float>(Doubles{a});
      mixture_forward(s, joined.data(), number.data());
      const Doubles got = test::widened(joined.get());
      // sum of x' dx' is that of the scores: products of queries are one source, those of features the other.
      Doubles products(static_cast<std::size_t>(n), 0), synthetic = products;
      for (std::int64_t i = 0; i < n; ++i) {
        const auto at = static_cast<std::size_t>(i);
        if (is_query(s, i % joined_width(s), false))
          products[at] = x[at];
        else if (is_query(s, i % joined_width(s), true))
          synthetic[at] = x[at];
      }
      Doubles want(x.size()), dproducts(x.size()), dsynthetic(x.size()), da(1);
      reference::mixture_forward(n, want.data(), products.data(), synthetic.data(), a);
      reference::mixture_backward(n, dproducts.data(), dsynthetic.data(), da.data(), slopes.data(), products.data(),
                                  synthetic.data(), a);
      Guarded<float> got_a(1);
      Buffer<float> partial(column_sum_workspace(s.sequences * s.length, 1), "test");
      mixture_backward(s, djoined.data(), got_a.data(), joined.data(), number.data(), partial.data());
      EXPECT_TRUE(joined.guards_survive() && djoined.guards_survive() && got_a.guards_survive());
      Doubles dwant = slopes;
      for (std::int64_t i = 0; i < n; ++i) {
        const auto at = static_cast<std::size_t>(i);
        const bool query = is_query(s, i % joined_width(s), false), feature = is_query(s, i % joined_width(s), true);
        if (!query && !feature) // keys and values
          want[at] = x[at];
        else
          dwant[at] = query ? dproducts[at] : dsynthetic[at];
      }
      EXPECT_AT_MOST(relative_error(got, want), TestFixture::limit);
      EXPECT_AT_MOST(relative_error(test::widened(djoined.get()), dwant), TestFixture::limit);
      // Few numbers may cancel: the error is beside the sum of their sizes.
      double size = 1e-30;
      for (std::size_t i = 0; i < slopes.size(); ++i)
        size += std::abs(slopes[i] * (products[i] - synthetic[i])) / 4;
      EXPECT_AT_MOST(std::abs(test::widened(got_a.get())[0] - da[0]) / size, TestFixture::limit);
    }
}

TEST(MixtureOfTable, WeighsTheTableAndAddsToTheGradientOfTheShare) {
  for (const auto& [rows, columns] : {std::make_pair(1, 1), std::make_pair(130, 9)})
    for (const double a : numbers) {
      const std::int64_t n = rows * columns;
      const Doubles table = rounded<float>(random_doubles(n, 1)), slopes = rounded<float>(random_doubles(n, 2)),
                    nothing(table.size(), 0);
      Guarded<float> mixed(table.size()), dtable(as_stored<float>(slopes)), da(std::vector<float>{3});
      Buffer<float> given = to_device<float>(table), number = to_device<float>(Doubles{a});
      Buffer<float> partial(column_sum_workspace(rows, 1) + 1, "test");
      mixture_of_table_forward(rows, columns, mixed.data(), given.data(), number.data());
      mixture_of_table_backward(rows, columns, dtable.data(), da.data(), given.data(), number.data(), partial.data());
      EXPECT_TRUE(mixed.guards_survive() && dtable.guards_survive() && da.guards_survive());
      Doubles want(table.size()), dnothing(table.size()), dwant(table.size()), dshare(1);
      reference::mixture_forward(n, want.data(), nothing.data(), table.data(), a);
      reference::mixture_backward(n, dnothing.data(), dwant.data(), dshare.data(), slopes.data(), nothing.data(),
                                  table.data(), a);
      EXPECT_AT_MOST(relative_error(test::widened(mixed.get()), want), 1e-6);
      EXPECT_AT_MOST(relative_error(test::widened(dtable.get()), dwant), 1e-6);
      EXPECT_NEAR(test::widened(da.get())[0] - 3, dshare[0], 1e-5);
    }
}

} // namespace
