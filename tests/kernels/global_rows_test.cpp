// Promise: the first rows of every sequence are taken from elsewhere, and nothing else moves.
#include "kernels/attention/global_rows.hpp"
#include "tests/kernels/numbers.hpp"
#include "tests/kernels/support.hpp"

using namespace weft;
using namespace weft::testing;
using test::Guarded;

namespace {

WEFT_STORAGE_SUITE(GlobalRows);

struct Problem {
  std::int64_t B, N, H, E, global;
};
const Problem problems[] = {{1, 1, 1, 1, 1}, {3, 7, 2, 3, 2}, {2, 5, 3, 11, 5}, {2, 4, 1, 8, 9}, {2, 4, 1, 8, 0}};

TYPED_TEST(GlobalRows, ArePutAndTheOthersStay) {
  using T = TypeParam;
  for (const Problem& p : problems) {
    const std::int64_t C = p.H * p.E, stride = C + 3, n = p.B * p.N;
    const AttentionShape shape{p.B, p.N, p.H, p.E, p.E, 3 * C, stride};
    const Doubles out = rounded<T>(random_doubles(n * C, 1)), from = rounded<T>(random_doubles(n * C, 2));
    const auto laid_out = [&](const Doubles& dense) {
      std::vector<T> rows(static_cast<std::size_t>(n * stride), Guarded<T>::sentinel());
      for (std::int64_t i = 0; i < n * C; ++i)
        rows[static_cast<std::size_t>(i / C * stride + i % C)] =
            store<T>(static_cast<float>(dense[static_cast<std::size_t>(i)]));
      return rows;
    };
    Guarded<T> to(laid_out(out)), of(laid_out(from));
    global_rows_put(shape, to.data(), of.data(), p.global);
    Doubles want = out;
    reference::global_rows_put(want.data(), from.data(), p.B, p.N, C, p.global);
    EXPECT_TRUE(test::same_bits(to.get(), laid_out(want)));
    EXPECT_TRUE(test::same_bits(of.get(), laid_out(from)));
    EXPECT_TRUE(to.guards_survive());
  }
}

TYPED_TEST(GlobalRows, SumsOfTwoGradientsAreRoundedOnce) {
  using T = TypeParam;
  for (const std::int64_t n : {1, 7, 8, 1023, 5000}) {
    const Doubles x = rounded<T>(random_doubles(n, 3)), more = rounded<T>(random_doubles(n, 4));
    Guarded<T> sum(test::stored<T>(x)), other(test::stored<T>(more));
    add_more(sum.data(), other.data(), n);
    Doubles want = x;
    reference::add_more(want.data(), more.data(), n);
    EXPECT_TRUE(test::same_bits(sum.get(), test::stored<T>(want))) << n;
    EXPECT_TRUE(sum.guards_survive());
  }
}

TEST(GlobalRowsNan, IsKept) {
  Guarded<float> sum(std::vector<float>{1, NAN}), more(std::vector<float>{NAN, 1});
  add_more(sum.data(), more.data(), 2);
  for (const float x : sum.get())
    EXPECT_TRUE(std::isnan(x));
}

} // namespace
