// Results that are added to what is there or take its place: the norm's gradient and that of a weight.
#include "kernels/gemm/gemm.hpp"
#include "kernels/norm/norm.hpp"
#include "tests/kernels/numbers.hpp"
#include "tests/kernels/support.hpp"
#include <gtest/gtest.h>

using namespace weft;
using namespace weft::testing;
using weft::test::Guarded, weft::test::same_bits, weft::test::widened;

namespace {

WEFT_STORAGE_SUITE(IntoResult);

TYPED_TEST(IntoResult, NormOverwritesDxWhateverItHolds) {
  for (const auto& [rows, width] : {std::pair<std::int64_t, std::int64_t>{1, 1}, {3, 7}, {65, 48}, {130, 129}})
    for (const float epsilon : {1e-6f, 1e-2f}) {
      const std::int64_t n = rows * width;
      const auto x = rounded<TypeParam>(random_doubles(n, 1)), dout = rounded<TypeParam>(random_doubles(n, 4));
      const auto gain = rounded<float>(random_doubles(width, 2)), bias = rounded<float>(random_doubles(width, 3));
      Doubles out(x.size()), mean(static_cast<std::size_t>(rows)), rstd(mean), dx(x.size(), 0), dgain(gain.size()),
          dbias(gain.size());
      reference::norm_forward(out.data(), mean.data(), rstd.data(), x.data(), gain.data(), bias.data(), rows, width,
                              static_cast<double>(epsilon));
      reference::norm_backward(dx.data(), dgain.data(), dbias.data(), dout.data(), x.data(), mean.data(), rstd.data(),
                               gain.data(), rows, width);
      Guarded<TypeParam> from(test::stored<TypeParam>(x)), d(test::stored<TypeParam>(dout)), normed(x.size()),
          got(test::stored<TypeParam>(Doubles(x.size(), NAN))), in_place(test::stored<TypeParam>(dout));
      Guarded<float> weight(test::stored<float>(gain)), shift(test::stored<float>(bias)), m(mean.size()),
          r(mean.size()), got_gain(gain.size()), got_bias(gain.size()),
          partial(static_cast<std::size_t>(norm_workspace(rows, width)));
      norm_forward(normed.data(), m.data(), r.data(), from.data(), weight.data(), shift.data(), rows, width, epsilon);
      norm_backward(got.data(), got_gain.data(), got_bias.data(), d.data(), from.data(), m.data(), r.data(),
                    weight.data(), rows, width, partial.data(), Into::overwrite);
      EXPECT_AT_MOST(relative_error(widened(normed.get()), out), this->limit);
      // One number a row has no spread: its gradient is what is left of rounding, times 1/sqrt(epsilon).
      EXPECT_AT_MOST(width == 1 ? test::largest(widened(got.get())) : relative_error(widened(got.get()), dx),
                     width == 1 ? 1e-3 : this->limit);
      EXPECT_AT_MOST(relative_error(widened(got_gain.get()), dgain), 1e-5);
      EXPECT_AT_MOST(relative_error(widened(got_bias.get()), dbias), 1e-5);
      norm_backward(in_place.data(), got_gain.data(), got_bias.data(), in_place.data(), from.data(), m.data(), r.data(),
                    weight.data(), rows, width, partial.data(), Into::overwrite);
      EXPECT_TRUE(same_bits(in_place.get(), got.get()));
      EXPECT_TRUE(got.guards_survive() && in_place.guards_survive() && got_gain.guards_survive() &&
                  got_bias.guards_survive() && partial.guards_survive());
    }
}

const LinearShape linear_shapes[] = {{1, 1, 1}, {7, 5, 3}, {33, 64, 96}, {100, 130, 17}, {100, 17, 130}};

TYPED_TEST(IntoResult, WeightGradientIsAddedToWhatIsThere) {
  for (const LinearShape& s : linear_shapes) {
    const auto x = rounded<TypeParam>(random_doubles(s.rows * s.inputs, 1)),
               dy = rounded<TypeParam>(random_doubles(s.rows * s.outputs, 2));
    const auto before = rounded<float>(random_doubles(s.inputs * s.outputs, 3, 5));
    linear_reserve(linear_workspace_bytes<TypeParam>(s));
    Doubles want = before, alone(before.size(), NAN);
    reference::linear_backward_weight(s, want.data(), x.data(), dy.data(), Into::add);
    reference::linear_backward_weight(s, alone.data(), x.data(), dy.data());
    for (std::size_t i = 0; i < want.size(); ++i)
      ASSERT_NEAR(want[i], before[i] + alone[i], 1e-12);
    Guarded<TypeParam> left(test::stored<TypeParam>(x)), right(test::stored<TypeParam>(dy));
    Guarded<float> added(test::stored<float>(before)), overwritten(before.size());
    linear_backward_weight(s, added.data(), left.data(), right.data(), Into::add);
    linear_backward_weight(s, overwritten.data(), left.data(), right.data());
    EXPECT_AT_MOST(relative_error(widened(added.get()), want), 3e-6);
    EXPECT_AT_MOST(relative_error(widened(overwritten.get()), alone), 3e-6);
    EXPECT_TRUE(added.guards_survive() && overwritten.guards_survive());
    // Twice is twice: the primitive for sums is not mixed up with the other.
    linear_backward_weight(s, overwritten.data(), left.data(), right.data(), Into::add);
    for (double& value : alone)
      value *= 2;
    EXPECT_AT_MOST(relative_error(widened(overwritten.get()), alone), 3e-6);
  }
}

TYPED_TEST(IntoResult, WeightGradientShowsNanThatIsThere) {
  const LinearShape s{5, 3, 2};
  linear_reserve(linear_workspace_bytes<TypeParam>(s));
  Guarded<TypeParam> x(test::stored<TypeParam>(Doubles(15, 1))), dy(test::stored<TypeParam>(Doubles(10, 1)));
  Guarded<float> dw(test::stored<float>(Doubles{0, NAN, 0, 0, 0, 0}));
  linear_backward_weight(s, dw.data(), x.data(), dy.data(), Into::add);
  const Doubles got = widened(dw.get());
  for (std::size_t i = 0; i < 6; ++i)
    EXPECT_TRUE(i == 1 ? std::isnan(got[i]) : got[i] == 5) << got[i];
  linear_backward_weight(s, dw.data(), x.data(), dy.data());
  EXPECT_EQ(widened(dw.get()), Doubles(6, 5));
}

} // namespace
