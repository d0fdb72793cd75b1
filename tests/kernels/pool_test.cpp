// From rows to vectors: the first row, means over seen rows, attention pooling.
#include "kernels/pool/attention_pool.hpp"
#include "kernels/pool/pool.hpp"
#include "tests/kernels/numbers.hpp"
#include "tests/kernels/support.hpp"
#include <gtest/gtest.h>

using namespace weft;
using namespace weft::testing;
using weft::test::Guarded, weft::test::widened;

namespace {

WEFT_STORAGE_SUITE(Pool);

const PoolShape shapes[] = {{1, 1, 1}, {3, 7, 5}, {4, 64, 8}, {5, 131, 301}, {2, 320, 33}};

std::size_t vectors(const PoolShape& s) { return static_cast<std::size_t>(s.sequences * s.width); }
std::size_t rows(const PoolShape& s) { return static_cast<std::size_t>(s.sequences * s.length); }

/// Sequence s of three: true up to a length, true here and there, nothing at all (the third of them). Bits from N on
/// are set, to show that nobody reads them.
std::vector<std::uint32_t> some_seen(const PoolShape& p) {
  std::vector<std::uint32_t> seen(static_cast<std::size_t>(p.sequences * seen_words(p.length)), 0);
  for (std::int64_t s = 0; s < p.sequences; ++s)
    for (std::int64_t i = 0; i < 32 * seen_words(p.length); ++i)
      if (i >= p.length || (s % 3 == 0 ? 3 * i < 2 * p.length : s % 3 == 1 && i % 5 != 2))
        seen[static_cast<std::size_t>(s * seen_words(p.length) + i / 32)] |= 1u << (i % 32);
  return seen;
}
bool is_set(const std::vector<std::uint32_t>& seen, const PoolShape& p, std::size_t row) {
  const std::size_t n = static_cast<std::size_t>(p.length), i = row % n;
  return (seen[row / n * static_cast<std::size_t>(seen_words(p.length)) + i / 32] >> (i % 32) & 1u) != 0;
}
Buffer<std::uint32_t> on_device(const std::vector<std::uint32_t>& words) {
  Buffer<std::uint32_t> out(static_cast<std::int64_t>(words.size()), "test");
  copy_to_device(out.data(), words.data(), out.bytes());
  return out;
}
/// Which rows are seen, here and on the device; null: all of them.
struct Mask {
  std::vector<std::uint32_t> seen;
  Buffer<std::uint32_t> on_the_device;
  const std::uint32_t *bits, *device_bits;
  bool masked;

  Mask(const PoolShape& p, bool masked_rows)
      : seen(some_seen(p)), on_the_device(on_device(seen)), bits(masked_rows ? seen.data() : nullptr),
        device_bits(masked_rows ? on_the_device.data() : nullptr), masked(masked_rows) {}
};
/// x with NaN in every row that is not seen.
Doubles spoilt(Doubles x, const Mask& mask, const PoolShape& p) {
  const std::size_t width = x.size() / rows(p);
  for (std::size_t i = 0; mask.masked && i < x.size(); ++i)
    if (!is_set(mask.seen, p, i / width))
      x[i] = NAN;
  return x;
}

TEST(Reference, PoolGradientsAreThoseOfFiniteDifferences) {
  const PoolShape p{3, 5, 2};
  const auto seen = some_seen(p);
  const auto x = random_doubles(30, 1), dout = random_doubles(6, 2);
  const auto slope = [&](const std::function<void(double*, const double*)>& forward) {
    return finite_difference(
        [&](const Doubles& at) {
          Doubles out(6);
          forward(out.data(), at.data());
          return dot(out, dout);
        },
        x);
  };
  Doubles dx(30, NAN);
  reference::pool_first_backward(dx.data(), dout.data(), p);
  EXPECT_AT_MOST(
      relative_error(dx, slope([&](double* out, const double* at) { reference::pool_first_forward(out, at, p); })),
      1e-7);
  for (const std::uint32_t* bits : {static_cast<const std::uint32_t*>(nullptr), seen.data()}) {
    reference::pool_last_backward(dx.data(), dout.data(), bits, p);
    EXPECT_AT_MOST(relative_error(dx, slope([&](double* out, const double* at) {
                                    reference::pool_last_forward(out, at, bits, p);
                                  })),
                   1e-7);
  }
  for (const double divisor : {0.0, 4.5})
    for (const std::uint32_t* bits : {static_cast<const std::uint32_t*>(nullptr), seen.data()}) {
      reference::pool_mean_backward(dx.data(), dout.data(), bits, divisor, p);
      EXPECT_AT_MOST(relative_error(dx, slope([&](double* out, const double* at) {
                                      reference::pool_mean_forward(out, at, bits, divisor, p);
                                    })),
                     1e-7);
    }
}

TEST(Reference, AttentionPoolGradientsAreThoseOfFiniteDifferences) {
  const PoolShape p{3, 5, 2};
  const std::int64_t width = 4; // u = x itself twice, so that the gradient through the scores counts
  const auto seen = some_seen(p);
  const auto x = random_doubles(30, 1), v = random_doubles(width, 3), dout = random_doubles(6, 2);
  const auto doubled = [](const Doubles& at) {
    Doubles u;
    for (std::size_t i = 0; i < at.size(); i += 2)
      u.insert(u.end(), {at[i], at[i + 1], at[i], at[i + 1]});
    return u;
  };
  const auto value = [&](const Doubles& at, const Doubles& at_v) {
    Doubles scores(15), weights(15), out(6);
    reference::tanh_scores_forward(scores.data(), doubled(at).data(), at_v.data(), 15, width);
    reference::attention_pool_forward(out.data(), weights.data(), at.data(), scores.data(), seen.data(), p);
    return dot(out, dout);
  };
  Doubles scores(15), weights(15), out(6), dscores(15), du(60), dv(4), dx(30, 0);
  const Doubles u = doubled(x);
  reference::tanh_scores_forward(scores.data(), u.data(), v.data(), 15, width);
  reference::attention_pool_forward(out.data(), weights.data(), x.data(), scores.data(), seen.data(), p);
  reference::attention_pool_backward_scores(dscores.data(), dout.data(), x.data(), weights.data(), p);
  reference::tanh_scores_backward(du.data(), dv.data(), dscores.data(), u.data(), v.data(), 15, width);
  for (std::size_t i = 0; i < 60; ++i)
    dx[i / 4 * 2 + i % 2] += du[i];
  reference::attention_pool_backward_rows(dx.data(), dx.data(), dout.data(), weights.data(), p);
  EXPECT_AT_MOST(relative_error(dx, finite_difference([&](const Doubles& at) { return value(at, v); }, x)), 1e-7);
  EXPECT_AT_MOST(relative_error(dv, finite_difference([&](const Doubles& at) { return value(x, at); }, v)), 1e-7);
}

TYPED_TEST(Pool, FirstFollowsTheReferenceToTheBit) {
  for (const PoolShape& p : shapes) {
    const auto x = rounded<TypeParam>(random_doubles(p.sequences * p.length * p.width, 1)),
               dout = rounded<TypeParam>(random_doubles(p.sequences * p.width, 2));
    Doubles out(dout.size()), dx(x.size());
    reference::pool_first_forward(out.data(), x.data(), p);
    reference::pool_first_backward(dx.data(), dout.data(), p);
    Guarded<TypeParam> from(test::stored<TypeParam>(x)), d(test::stored<TypeParam>(dout)), got(out.size()),
        got_dx(x.size());
    pool_first_forward(got.data(), from.data(), p);
    pool_first_backward(got_dx.data(), d.data(), p);
    EXPECT_EQ(widened(got.get()), out);
    EXPECT_EQ(widened(got_dx.get()), dx);
    EXPECT_TRUE(got.guards_survive() && got_dx.guards_survive());
  }
}

TYPED_TEST(Pool, LastCopiesTheLastSeenRowAndReadsNoOther) {
  for (const PoolShape& p : shapes)
    for (const bool masked : {false, true}) {
      const Mask mask(p, masked);
      const auto x = rounded<TypeParam>(random_doubles(p.sequences * p.length * p.width, 1)),
                 dout = rounded<TypeParam>(random_doubles(p.sequences * p.width, 2));
      Doubles out(dout.size()), dx(x.size());
      reference::pool_last_forward(out.data(), x.data(), mask.bits, p);
      reference::pool_last_backward(dx.data(), dout.data(), mask.bits, p);
      Guarded<TypeParam> from(test::stored<TypeParam>(spoilt(x, mask, p))), d(test::stored<TypeParam>(dout)),
          got(out.size()), got_dx(x.size());
      pool_last_forward(got.data(), from.data(), mask.device_bits, p);
      pool_last_backward(got_dx.data(), d.data(), mask.device_bits, p);
      EXPECT_EQ(widened(got.get()), out);
      EXPECT_EQ(widened(got_dx.get()), dx);
      EXPECT_TRUE(got.guards_survive() && got_dx.guards_survive());
      for (std::size_t s = 2; masked && s < static_cast<std::size_t>(p.sequences); s += 3) // nothing is seen there
        EXPECT_EQ(out[s * static_cast<std::size_t>(p.width)], 0);
    }
}

TYPED_TEST(Pool, MeanFollowsTheReferenceAndReadsSeenRowsOnly) {
  for (const PoolShape& p : shapes)
    for (const bool masked : {false, true})
      for (const float divisor : {0.0f, 48.0f}) {
        const Mask mask(p, masked);
        const auto x = rounded<TypeParam>(random_doubles(p.sequences * p.length * p.width, 1)),
                   dout = rounded<TypeParam>(random_doubles(p.sequences * p.width, 2));
        Doubles out(dout.size()), dx(x.size());
        reference::pool_mean_forward(out.data(), x.data(), mask.bits, divisor, p);
        reference::pool_mean_backward(dx.data(), dout.data(), mask.bits, divisor, p);
        Guarded<TypeParam> from(test::stored<TypeParam>(spoilt(x, mask, p))), d(test::stored<TypeParam>(dout)),
            got(out.size()), got_dx(x.size());
        Guarded<float> partial(static_cast<std::size_t>(pool_workspace(p)));
        pool_mean_forward(got.data(), from.data(), mask.device_bits, divisor, p, partial.data());
        pool_mean_backward(got_dx.data(), d.data(), mask.device_bits, divisor, p);
        EXPECT_AT_MOST(relative_error(widened(got.get()), out), this->limit);
        EXPECT_AT_MOST(relative_error(widened(got_dx.get()), dx), this->limit);
        const Doubles zeros = widened(got_dx.get());
        for (std::size_t i = 0; masked && i < x.size(); ++i)
          ASSERT_TRUE(is_set(mask.seen, p, i / static_cast<std::size_t>(p.width)) || zeros[i] == 0) << i;
        EXPECT_TRUE(got.guards_survive() && got_dx.guards_survive() && partial.guards_survive());
      }
}

TYPED_TEST(Pool, ShowsNanOfASeenRowInItsOwnSequenceOnly) {
  const PoolShape p{2, 70, 5};
  const std::vector<std::uint32_t> all(static_cast<std::size_t>(2 * seen_words(p.length)), ~0u);
  const auto dev_seen = on_device(all);
  auto x = random_doubles(p.sequences * p.length * p.width, 1);
  x[69 * 5 + 2] = NAN; // the last row of sequence 0
  Guarded<TypeParam> from(test::stored<TypeParam>(x)), got(10);
  Guarded<float> partial(static_cast<std::size_t>(pool_workspace(p)));
  pool_mean_forward(got.data(), from.data(), dev_seen.data(), 0.0f, p, partial.data());
  const Doubles out = widened(got.get());
  for (std::size_t i = 0; i < 10; ++i)
    EXPECT_EQ(std::isnan(out[i]), i == 2);
}

TYPED_TEST(Pool, TanhScoresFollowTheReferenceInPlace) {
  for (const auto& [count, width] : {std::pair<std::int64_t, std::int64_t>{1, 1}, {70, 9}, {133, 301}}) {
    auto u = rounded<TypeParam>(random_doubles(count * width, 1));
    const auto v = rounded<float>(random_doubles(width, 2));
    auto dscores = rounded<float>(random_doubles(count, 3));
    Doubles scores(dscores.size()), du(u.size()), dv(v.size());
    reference::tanh_scores_forward(scores.data(), u.data(), v.data(), count, width);
    if (count > 1) {
      dscores[1] = 0; // and its row, which nobody reads backwards, is NaN below
      std::fill_n(u.begin() + width, width, NAN);
    }
    reference::tanh_scores_backward(du.data(), dv.data(), dscores.data(), u.data(), v.data(), count, width);
    Guarded<TypeParam> from(test::stored<TypeParam>(u));
    Guarded<float> vector(test::stored<float>(v)), d(test::stored<float>(dscores)), got(scores.size()),
        got_dv(v.size()), partial(static_cast<std::size_t>(column_sum_workspace(count, width)));
    tanh_scores_forward(got.data(), from.data(), vector.data(), count, width);
    tanh_scores_backward(from.data(), got_dv.data(), d.data(), from.data(), vector.data(), count, width,
                         partial.data());
    auto got_scores = widened(got.get());
    if (count > 1) {
      EXPECT_TRUE(std::isnan(got_scores[1]));
      got_scores[1] = scores[1];
    }
    EXPECT_AT_MOST(relative_error(got_scores, scores), 3e-6);
    EXPECT_AT_MOST(relative_error(widened(from.get()), du), this->limit);
    EXPECT_AT_MOST(relative_error(widened(got_dv.get()), dv), 3e-6);
    EXPECT_TRUE(from.guards_survive() && got.guards_survive() && got_dv.guards_survive() && partial.guards_survive());
  }
}

TYPED_TEST(Pool, AttentionFollowsTheReferenceAndReadsSeenRowsOnly) {
  for (const PoolShape& p : shapes)
    for (const bool masked : {false, true}) {
      const Mask mask(p, masked);
      const std::int64_t n = p.sequences * p.length;
      const auto x = rounded<TypeParam>(random_doubles(n * p.width, 1)),
                 through = rounded<TypeParam>(random_doubles(n * p.width, 4)),
                 dout = rounded<TypeParam>(random_doubles(p.sequences * p.width, 2));
      const auto scores = rounded<float>(random_doubles(n, 3, 4));
      Doubles out(vectors(p)), weights(rows(p)), dscores(rows(p)), dx(x.size());
      reference::attention_pool_forward(out.data(), weights.data(), x.data(), scores.data(), mask.bits, p);
      reference::attention_pool_backward_scores(dscores.data(), dout.data(), x.data(), weights.data(), p);
      reference::attention_pool_backward_rows(dx.data(), masked ? through.data() : nullptr, dout.data(), weights.data(),
                                              p);
      Guarded<TypeParam> from(test::stored<TypeParam>(spoilt(x, mask, p))), d(test::stored<TypeParam>(dout)),
          got(out.size()), got_dx(test::stored<TypeParam>(through));
      Guarded<float> score(test::stored<float>(spoilt(scores, mask, p))), got_weights(rows(p)), got_dscores(rows(p)),
          partial(static_cast<std::size_t>(attention_pool_workspace(p)));
      attention_pool_forward(got.data(), got_weights.data(), from.data(), score.data(), mask.device_bits, p,
                             partial.data());
      attention_pool_backward_scores(got_dscores.data(), d.data(), from.data(), got_weights.data(), p);
      attention_pool_backward_rows(got_dx.data(), masked ? got_dx.data() : nullptr, d.data(), got_weights.data(), p);
      EXPECT_AT_MOST(relative_error(widened(got.get()), out), this->limit);
      EXPECT_AT_MOST(relative_error(widened(got_weights.get()), weights), 3e-6);
      EXPECT_AT_MOST(test::difference(widened(got_dscores.get()), dscores),
                     3e-6 * test::largest(widened(d.get())) * std::sqrt(1.0 * double(p.width)));
      EXPECT_AT_MOST(relative_error(widened(got_dx.get()), dx), this->limit);
      EXPECT_TRUE(got.guards_survive() && got_dx.guards_survive() && got_weights.guards_survive() &&
                  got_dscores.guards_survive() && partial.guards_survive());
    }
}

} // namespace
