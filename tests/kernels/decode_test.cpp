// Promise: the operations of decoding compute what their headers say, in all storage types, touch nothing else, and
// give a row the same bits whatever rows lie beside it.
#include "kernels/activation/activation.hpp"
#include "kernels/attention/attention_decode.hpp"
#include "kernels/embedding/embedding.hpp"
#include "kernels/gemm/few_rows.hpp"
#include "tests/kernels/numbers.hpp"
#include "tests/kernels/support.hpp"
#include <gtest/gtest.h>

using namespace weft;
using namespace weft::testing;

namespace {

template <class T>
class Decoding : public ::testing::Test {
 public:
  static constexpr double rounding =
      std::is_same_v<T, float>  ? 1e-5
      : std::is_same_v<T, bf16> ? 4e-3
                                : 5e-4; ///< of a result that is rounded to T once; a lone number may be a difference
};
using Types = ::testing::Types<float, bf16, fp16>;
TYPED_TEST_SUITE(Decoding, Types);

TYPED_TEST(Decoding, FewRowsGiveTheProductWithEveryEnd) {
  using T = TypeParam;
  for (const std::int64_t rows : {1, 2, 5})
    for (const std::int64_t inputs : {1, 7, 96})
      for (const std::int64_t outputs : {1, 31, 32, 33, 100}) {
        const LinearShape shape{rows, inputs, outputs};
        const Doubles x = rounded<T>(random_doubles(rows * inputs, 1)), w = random_doubles(inputs * outputs, 2),
                      b = rounded<float>(random_doubles(outputs, 3)), r = rounded<T>(random_doubles(rows * outputs, 4));
        Doubles want(r.size());
        reference::linear_forward(shape, want.data(), x.data(), rounded<T>(w).data(), b.data());
        const Buffer<float> w_device = to_device<float>(w), b_device = to_device<float>(b);
        const StripMatrix<T> strips(w_device.data(), inputs, outputs);
        const Buffer<T> x_device = to_device<T>(x), r_device = to_device<T>(r);
        test::Guarded<T> y(r.size());
        const auto got = [&] {
          EXPECT_TRUE(y.guards_survive());
          return test::widened(y.get());
        };
        few_rows_forward(strips, rows, y.data(), x_device.data(), b_device.data());
        EXPECT_AT_MOST(relative_error(got(), want), this->rounding) << rows << " " << inputs << " " << outputs;
        few_rows_forward(strips, rows, y.data(), x_device.data(), b_device.data(), RowsEnd::residual, r_device.data());
        Doubles sum = want, f(want.size());
        for (std::size_t i = 0; i < sum.size(); ++i)
          sum[i] += r[i];
        EXPECT_AT_MOST(relative_error(got(), sum), 2 * this->rounding);
        few_rows_forward(strips, rows, y.data(), x_device.data(), b_device.data(), RowsEnd::activation);
        reference::activation_forward(f.data(), want.data(), static_cast<std::int64_t>(f.size()));
        EXPECT_AT_MOST(relative_error(got(), f), 4 * this->rounding); // f is steeper than the identity
        test::Guarded<float> logits(r.size());
        few_rows_forward(strips, rows, logits.data(), x_device.data(), nullptr);
        reference::linear_forward(shape, want.data(), x.data(), rounded<T>(w).data(), nullptr);
        EXPECT_AT_MOST(relative_error(test::widened(logits.get()), want), 1e-5);
      }
}

TYPED_TEST(Decoding, ARowHasItsBitsInEveryCompany) {
  using T = TypeParam;
  const Buffer<float> w = to_device<float>(random_doubles(64 * 50, 2));
  const StripMatrix<T> strips(w.data(), 64, 50);
  const Buffer<T> x = to_device<T>(random_doubles(5 * 64, 1));
  test::Guarded<float> all(5 * 50), one(50);
  few_rows_forward(strips, 5, all.data(), x.data(), nullptr);
  for (std::size_t row = 0; row < 5; ++row) {
    few_rows_forward(strips, 1, one.data(), x.data() + row * 64, nullptr);
    const std::vector<float> together = all.get();
    EXPECT_TRUE(
        test::same_bits(one.get(), std::vector<float>(together.begin() + static_cast<std::ptrdiff_t>(row * 50),
                                                      together.begin() + static_cast<std::ptrdiff_t>(row * 50 + 50))));
  }
}

TYPED_TEST(Decoding, AnEmbeddedSlotIsThatOfTheWholeSequence) {
  using T = TypeParam;
  const std::int64_t B = 2, N = 11, D = 10, V = 9;
  Coordinates at;
  at.count = 2;
  at.extents[0] = 3;
  at.extents[1] = 4;
  const Buffer<float> token = to_device<float>(random_doubles(V * D, 1)),
                      start = to_device<float>(random_doubles(D, 2)), p0 = to_device<float>(random_doubles(3 * D, 3)),
                      p1 = to_device<float>(random_doubles(4 * D, 4));
  const EmbeddingTables<const float*> tables{token.data(), start.data(), {p0.data(), p1.data()}};
  std::vector<std::uint16_t> tokens;
  for (std::int64_t i = 0; i < B * N; ++i)
    tokens.push_back(static_cast<std::uint16_t>(i * 5 % V));
  Buffer<std::uint16_t> device(B * N, "tokens"), previous(B, "previous");
  copy_to_device(device.data(), tokens.data(), device.bytes());
  Buffer<T> whole(B * N * D, "whole"), slot(B * D, "slot");
  embedding_forward(whole.data(), {B, N, D, V}, at, tables, device.data());
  const Doubles want = to_doubles(whole);
  for (std::int64_t i = 0; i < N; ++i) {
    const std::uint16_t before[] = {i > 0 ? tokens[static_cast<std::size_t>(i - 1)] : std::uint16_t{60000},
                                    i > 0 ? tokens[static_cast<std::size_t>(N + i - 1)] : std::uint16_t{60000}};
    copy_to_device(previous.data(), before, previous.bytes());
    embedding_slot(slot.data(), {B, N, D, V}, at, tables, previous.data(), i);
    const Doubles got = to_doubles(slot);
    for (std::int64_t n = 0; n < B * D; ++n)
      EXPECT_EQ(got[static_cast<std::size_t>(n)], want[static_cast<std::size_t>((n / D * N + i) * D + n % D)]) << i;
  }
}

TYPED_TEST(Decoding, AttentionOverTheCacheIsTheSoftmaxOverTheListedKeys) {
  using T = TypeParam;
  struct Size {
    std::int64_t heads, E, Ev, position;
  };
  for (const Size z : {Size{1, 1, 1, 0}, Size{3, 8, 16, 40}, Size{2, 5, 13, 100}, Size{2, 40, 72, 700},
                       Size{2, 32, 30, 500}, Size{1, 60, 64, 300}, Size{1, 256, 256, 300}}) {
    const std::int64_t S = 2, H = z.heads, E = z.E, Ev = z.Ev, capacity = z.position + 3, i = z.position;
    const DecodeShape shape{S, H, E, Ev, capacity, H * (2 * E + Ev) + 3};
    const std::int64_t Ep = shape.key_row(), Vp = shape.value_row();
    const Doubles qkv = rounded<T>(random_doubles(S * shape.row_stride, 1));
    Doubles keys(static_cast<std::size_t>(S * H * capacity * Ep), 0),
        values(static_cast<std::size_t>(S * H * capacity * Vp), 0);
    // What no list names is NaN: it must not matter.
    const auto seen = [&](std::int64_t list, std::int64_t j) {
      return list == 0 ? j % 3 != 1 : list == 1 && (i - j) % 2 == 0;
    };
    // The rows of a cache are in no order that the kernel knows of.
    const auto slot = [&](std::int64_t row, std::int64_t j) { return (j + row % H % 3) % capacity; };
    std::vector<int> list_of_head, flat, newest, begin = {0};
    for (std::int64_t h = 0; h < H; ++h)
      list_of_head.push_back(static_cast<int>(h % 3)); // list 2 is empty
    for (int list = 0; list < 3; ++list) {
      for (std::int64_t j = 0; j <= i; ++j)
        if (seen(list, j))
          flat.push_back(static_cast<int>(slot(list, j)));
      newest.push_back(static_cast<int>(slot(list, i)));
      begin.push_back(static_cast<int>(flat.size()));
    }
    const Doubles k0 = rounded<T>(random_doubles(S * H * capacity * E, 2)),
                  v0 = rounded<T>(random_doubles(S * H * capacity * Ev, 3));
    for (std::int64_t row = 0; row < S * H; ++row)
      for (std::int64_t j = 0; j < capacity; ++j) {
        const bool used = j < i && seen(row % H % 3, j);
        for (std::int64_t e = 0; e < E; ++e)
          keys[static_cast<std::size_t>((row * capacity + slot(row, j)) * Ep + e)] =
              used ? k0[static_cast<std::size_t>((row * capacity + j) * E + e)] : NAN;
        for (std::int64_t e = 0; e < Ev; ++e)
          values[static_cast<std::size_t>((row * capacity + slot(row, j)) * Vp + e)] =
              used ? v0[static_cast<std::size_t>((row * capacity + j) * Ev + e)] : NAN;
      }
    Doubles want(static_cast<std::size_t>(S * H * Ev), 0);
    for (std::int64_t row = 0; row < S * H; ++row) {
      const std::int64_t h = row % H, list = h % 3;
      const double* from = qkv.data() + row / H * shape.row_stride;
      double sum = 0;
      Doubles out(static_cast<std::size_t>(Ev), 0);
      for (std::int64_t j = 0; j <= i; ++j) {
        if (!seen(list, j))
          continue;
        const double* k = j == i ? from + (H + h) * E : keys.data() + (row * capacity + slot(row, j)) * Ep;
        const double* v = j == i ? from + 2 * H * E + h * Ev : values.data() + (row * capacity + slot(row, j)) * Vp;
        double s = 0;
        for (std::int64_t e = 0; e < E; ++e)
          s += from[h * E + e] * k[e];
        const double p = std::exp(s / std::sqrt(static_cast<double>(E)));
        sum += p;
        for (std::int64_t e = 0; e < Ev; ++e)
          out[static_cast<std::size_t>(e)] += p * v[e];
      }
      for (std::int64_t e = 0; e < Ev; ++e)
        want[static_cast<std::size_t>(row * Ev + e)] = sum > 0 ? out[static_cast<std::size_t>(e)] / sum : 0;
    }
    const Buffer<T> qkv_device = to_device<T>(qkv);
    test::Guarded<T> key_cache(test::stored<T>(keys)), value_cache(test::stored<T>(values)), got(want.size());
    Buffer<int> flat_device(static_cast<std::int64_t>(flat.size()), "keys"), begin_device(4, "begin"),
        heads_device(H, "heads"), newest_device(3, "newest");
    copy_to_device(newest_device.data(), newest.data(), newest_device.bytes());
    copy_to_device(flat_device.data(), flat.data(), flat_device.bytes());
    copy_to_device(begin_device.data(), begin.data(), begin_device.bytes());
    copy_to_device(heads_device.data(), list_of_head.data(), heads_device.bytes());
    const std::int64_t longest = std::max(begin[1], begin[2] - begin[1]);
    test::Guarded<float> workspace(static_cast<std::size_t>(attention_decode_workspace(shape, longest)));
    attention_decode(shape, got.data(), qkv_device.data(), key_cache.data(), value_cache.data(),
                     {flat_device.data(), begin_device.data(), newest_device.data(), heads_device.data(), longest},
                     workspace.data());
    EXPECT_AT_MOST(relative_error(test::widened(got.get()), want), this->rounding) << E << " " << i;
    EXPECT_TRUE(got.guards_survive() && workspace.guards_survive() && key_cache.guards_survive() &&
                value_cache.guards_survive());
    // The new position is in the caches, nothing else has changed.
    for (std::int64_t row = 0; row < S * H; ++row) {
      const double* from = qkv.data() + row / H * shape.row_stride;
      for (std::int64_t e = 0; e < E; ++e)
        keys[static_cast<std::size_t>((row * capacity + slot(row, i)) * Ep + e)] = from[(H + row % H) * E + e];
      for (std::int64_t e = 0; e < Ev; ++e)
        values[static_cast<std::size_t>((row * capacity + slot(row, i)) * Vp + e)] = from[2 * H * E + row % H * Ev + e];
    }
    EXPECT_TRUE(test::same_bits(key_cache.get(), test::stored<T>(keys)));
    EXPECT_TRUE(test::same_bits(value_cache.get(), test::stored<T>(values)));
  }
}

} // namespace
