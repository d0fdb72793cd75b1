// Promise: tiled and repeated rows of numbers are the Synthesizer's factorised dense scores, block by block, and what
// is joined of the blocks is attention over all keys.
#include "kernels/synthesizer/factored_scores.hpp"
#include "tests/kernels/numbers.hpp"
#include "tests/kernels/support.hpp"
#include <cmath>
#include <gtest/gtest.h>
#include <limits>

using namespace weft;
using namespace weft::testing;
using weft::test::Guarded;

namespace {

WEFT_STORAGE_SUITE(FactoredScores);

const FactorShape factor_shapes[] = {{1, 1, 1, 1, 3}, {9, 2, 5, 32, 17}, {70, 3, 4, 7, 12}};
/// S, N, H, E, Ev, A, C, stride, g; C is of a longer sequence in two of them.
const FactoredShape shapes[] = {
    {1, 1, 1, 0, 1, 32, 1, 4, 1.0f}, {2, 40, 2, 3, 5, 32, 4, 29, 2.0f}, {2, 70, 1, 2, 3, 32, 5, 9, 1.5f}};

/// Away from the kink.
Doubles hidden_numbers(std::int64_t n, unsigned seed) {
  Doubles u = random_doubles(n, seed);
  for (double& x : u)
    x += x > 0 ? 0.2 : -0.2;
  return u;
}
const auto slope = [](const std::function<double(const Doubles&)>& f, const Doubles& x) {
  return finite_difference(f, x);
};

TEST(Reference, FactoredScoresGradientsAreThoseOfFiniteDifferences) {
  const FactorShape f{5, 2, 3, 4, 6};
  const Doubles u = hidden_numbers(5 * 6, 1), bias = random_doubles(6, 2, 0.01), w = random_doubles(6 * 4, 3),
                c = random_doubles(8, 4), dfactors = random_doubles(5 * 8, 5);
  Doubles du(u.size()), dbias(6), dw(w.size()), dc(8);
  reference::factor_rows_backward(f, du.data(), dbias.data(), dw.data(), dc.data(), dfactors.data(), u.data(),
                                  bias.data(), w.data());
  const auto value = [&](const Doubles& uu, const Doubles& bb, const Doubles& ww, const Doubles& cc) {
    Doubles factors(dfactors.size());
    reference::factor_rows_forward(f, factors.data(), uu.data(), bb.data(), ww.data(), cc.data());
    return dot(factors, dfactors);
  };
  EXPECT_AT_MOST(relative_error(du, slope([&](const Doubles& x) { return value(x, bias, w, c); }, u)), 1e-9);
  EXPECT_AT_MOST(relative_error(dbias, slope([&](const Doubles& x) { return value(u, x, w, c); }, bias)), 1e-9);
  EXPECT_AT_MOST(relative_error(dw, slope([&](const Doubles& x) { return value(u, bias, x, c); }, w)), 1e-9);
  EXPECT_AT_MOST(relative_error(dc, slope([&](const Doubles& x) { return value(u, bias, w, x); }, c)), 1e-9);

  const FactoredShape s{2, 7, 2, 0, 1, 3, 3, 1, 1.0f};
  const Doubles alpha = random_doubles(2 * 7 * 2 * 3, 6), beta = random_doubles(2 * 7 * 2 * 3, 7),
                da = random_doubles(2 * 2 * 7 * 7, 8);
  Doubles dalpha(alpha.size()), dbeta(beta.size());
  reference::factored_scores_backward(s, dalpha.data(), dbeta.data(), da.data(), alpha.data(), beta.data());
  const auto scores = [&](const Doubles& x, const Doubles& y) {
    Doubles a(da.size());
    reference::factored_scores_forward(s, a.data(), x.data(), y.data());
    return dot(a, da);
  };
  EXPECT_AT_MOST(relative_error(dalpha, slope([&](const Doubles& x) { return scores(x, beta); }, alpha)), 1e-9);
  EXPECT_AT_MOST(relative_error(dbeta, slope([&](const Doubles& x) { return scores(alpha, x); }, beta)), 1e-9);
}

TYPED_TEST(FactoredScores, RowsOfNumbersAreMadeOfHiddenOnes) {
  using T = TypeParam;
  for (const FactorShape& s : factor_shapes) {
    const std::int64_t wide = s.heads * s.hidden;
    const Doubles u = rounded<T>(random_doubles(s.rows * wide, 1)), bias = rounded<float>(random_doubles(wide, 2)),
                  w = rounded<float>(random_doubles(wide * s.numbers, 3)),
                  c = rounded<float>(random_doubles(s.heads * s.numbers, 4)),
                  dfactors = rounded<float>(random_doubles(s.rows * s.heads * s.numbers, 5));
    Doubles spread(static_cast<std::size_t>(s.rows * s.row_stride), 7);
    for (std::int64_t i = 0; i < s.rows * wide; ++i)
      spread[static_cast<std::size_t>(i / wide * s.row_stride + i % wide)] = u[static_cast<std::size_t>(i)];
    Buffer<T> rows = to_device<T>(spread);
    Buffer<float> bb = to_device<float>(bias), ww = to_device<float>(w), cc = to_device<float>(c),
                  slopes = to_device<float>(dfactors);
    Guarded<float> factors(dfactors.size()), dbias(bias.size()), dw(w.size()), dc(c.size());
    Guarded<T> du(spread.size());
    factor_rows_forward(s, factors.data(), rows.data(), bb.data(), ww.data(), cc.data());
    factor_rows_backward(s, du.data(), dbias.data(), dw.data(), dc.data(), slopes.data(), rows.data(), bb.data(),
                         ww.data());
    EXPECT_TRUE(factors.guards_survive() && du.guards_survive() && dbias.guards_survive() && dw.guards_survive() &&
                dc.guards_survive());
    Doubles want(dfactors.size()), want_u(u.size()), want_bias(bias.size()), want_w(w.size()), want_c(c.size());
    reference::factor_rows_forward(s, want.data(), u.data(), bias.data(), w.data(), c.data());
    reference::factor_rows_backward(s, want_u.data(), want_bias.data(), want_w.data(), want_c.data(), dfactors.data(),
                                    u.data(), bias.data(), w.data());
    EXPECT_AT_MOST(relative_error(test::widened(factors.get()), want), 1e-5);
    EXPECT_AT_MOST(relative_error(test::widened(dbias.get()), want_bias), 1e-5);
    EXPECT_AT_MOST(relative_error(test::widened(dw.get()), want_w), 1e-5);
    EXPECT_AT_MOST(relative_error(test::widened(dc.get()), want_c), 1e-5);
    const std::vector<T> all = du.get();
    Doubles dense;
    for (std::size_t i = 0; i < all.size(); ++i)
      if (static_cast<std::int64_t>(i) % s.row_stride < wide)
        dense.push_back(static_cast<double>(load(all[i])));
      else
        EXPECT_TRUE(Guarded<T>::is_sentinel(all[i]));
    EXPECT_AT_MOST(relative_error(dense, want_u), TestFixture::limit);
  }
}

TYPED_TEST(FactoredScores, BlocksMultiplyToScoresAndGiveTheirGradientsBack) {
  using T = TypeParam;
  for (const FactoredShape& s : shapes) {
    const std::int64_t S = s.sequences, N = s.length, H = s.heads, E = s.key_width, Ev = s.value_width, A = s.inner,
                       R = S * N, W = E + A, used = H * (2 * E + Ev);
    const Doubles x = rounded<T>(random_doubles(R * s.row_stride, 1)),
                  alpha = rounded<float>(random_doubles(R * H * A, 2)),
                  beta = rounded<float>(random_doubles(R * H * s.outer, 3)), da = random_doubles(S * H * N * N, 4);
    Buffer<T> qkv = to_device<T>(x);
    Buffer<float> aa = to_device<float>(alpha), bb = to_device<float>(beta);
    Guarded<float> dq(static_cast<std::size_t>(R * H * E)), dalpha(alpha.size()),
        dbeta(std::vector<float>(beta.size(), 0.0f)); // a shorter sequence does not reach all of it
    Guarded<T> dqkv(x.size());
    Doubles products(da.size(), 0), want_dq(static_cast<std::size_t>(R * H * E), 0);
    for (std::int64_t block = 0; block < s.blocks(); ++block) {
      const std::int64_t M = s.keys_of(block);
      Guarded<T> queries(static_cast<std::size_t>(R * s.query_row())),
          keys(static_cast<std::size_t>(S * M * s.key_row()));
      block_queries_forward(s, block, queries.data(), qkv.data(), aa.data(), bb.data());
      block_keys_forward(s, block, keys.data(), qkv.data());
      EXPECT_TRUE(queries.guards_survive() && keys.guards_survive());
      const Doubles q = test::widened(queries.get()), k = test::widened(keys.get());
      // Slopes of attention: dq' = da k' / g; keys get what they hold themselves.
      Doubles slopes(q.size(), 0);
      for (std::int64_t b = 0; b < S; ++b)
        for (std::int64_t h = 0; h < H; ++h)
          for (std::int64_t i = 0; i < N; ++i)
            for (std::int64_t r = 0; r < M; ++r) {
              const auto pair = static_cast<std::size_t>(((b * H + h) * N + i) * N + block * A + r);
              for (std::int64_t e = 0; e < W; ++e) {
                const auto at = static_cast<std::size_t>((b * N + i) * s.query_row() + h * W + e);
                const double key = k[static_cast<std::size_t>((b * M + r) * s.key_row() + h * W + e)];
                products[pair] += (e < E ? 0 : q[at] * key) / static_cast<double>(s.factor);
                slopes[at] += da[pair] * key / static_cast<double>(s.factor);
                if (e < E)
                  want_dq[static_cast<std::size_t>(((b * N + i) * H + h) * E + e)] +=
                      da[pair] * key / static_cast<double>(s.factor);
              }
            }
      Buffer<T> dqueries = to_device<T>(slopes);
      block_queries_backward(s, block, dq.data(), dalpha.data(), dbeta.data(), dqueries.data(), aa.data(), bb.data());
      block_keys_backward(s, block, dqkv.data(), keys.data());
    }
    store_rows(R, H * E, dqkv.data(), s.row_stride, dq.data());
    EXPECT_TRUE(dq.guards_survive() && dalpha.guards_survive() && dbeta.guards_survive() && dqkv.guards_survive());
    Doubles want(da.size()), want_alpha(alpha.size()), want_beta(beta.size());
    reference::factored_scores_forward(s, want.data(), alpha.data(), beta.data());
    reference::factored_scores_backward(s, want_alpha.data(), want_beta.data(), da.data(), alpha.data(), beta.data());
    EXPECT_AT_MOST(relative_error(products, want), TestFixture::limit);
    EXPECT_AT_MOST(relative_error(test::widened(dalpha.get()), want_alpha), 2 * TestFixture::limit);
    EXPECT_AT_MOST(relative_error(test::widened(dbeta.get()), want_beta), 2 * TestFixture::limit);
    const std::vector<T> back = dqkv.get();
    for (std::int64_t i = 0; i < R * s.row_stride; ++i) {
      const std::int64_t column = i % s.row_stride;
      const auto at = static_cast<std::size_t>(i);
      if (column >= used)
        EXPECT_TRUE(Guarded<T>::is_sentinel(back[at]));
      else if (column >= H * E) // keys and values came back as they were
        EXPECT_EQ(static_cast<double>(load(back[at])), x[at]);
      else
        EXPECT_NEAR(static_cast<double>(load(back[at])),
                    want_dq[static_cast<std::size_t>(i / s.row_stride * H * E + column)], TestFixture::limit * 30);
    }
  }
}

TYPED_TEST(FactoredScores, JoinedBlocksAreTheSoftmaxOverAllOfThem) {
  using T = TypeParam;
  const FactoredShape s{2, 40, 2, 0, 3, 32, 2, 6, 1.0f};
  const double nothing = -std::numeric_limits<double>::infinity();
  const std::size_t outputs = 2 * 40 * 2 * 3, rows = 2 * 2 * 40;
  Doubles out[2] = {rounded<T>(random_doubles(static_cast<std::int64_t>(outputs), 1)),
                    rounded<T>(random_doubles(static_cast<std::int64_t>(outputs), 2))};
  Doubles lse[2] = {random_doubles(rows, 3, 4), random_doubles(rows, 4, 4)};
  lse[0][5] = lse[1][6] = lse[0][7] = lse[1][7] = nothing; // rows that see nothing in the first, second, any block
  lse[0][8] = 120;
  lse[1][8] = -120;
  Guarded<float> joined(outputs), joined_lse(rows);
  for (int block = 0; block < 2; ++block) {
    Buffer<T> o = to_device<T>(out[block]);
    Buffer<float> l = to_device<float>(lse[block]);
    join_block(s, block, joined.data(), joined_lse.data(), o.data(), l.data());
  }
  EXPECT_TRUE(joined.guards_survive() && joined_lse.guards_survive());
  const Doubles got = test::widened(joined.get()), got_lse = test::widened(joined_lse.get());
  for (std::size_t row = 0; row < rows; ++row) {
    const std::size_t b = row / 80, h = row / 40 % 2, i = row % 40, at = ((b * 40 + i) * 2 + h) * 3;
    const double top = std::max(lse[0][row], lse[1][row]);
    if (top == nothing) {
      EXPECT_EQ(got_lse[row], nothing);
      EXPECT_EQ(got[at], 0);
      continue;
    }
    const double left = std::exp(lse[0][row] - top), right = std::exp(lse[1][row] - top);
    EXPECT_NEAR(got_lse[row], top + std::log(left + right), 1e-5 * (1 + std::abs(top)));
    for (std::size_t e = at; e < at + 3; ++e)
      EXPECT_NEAR(got[e], (left * out[0][e] + right * out[1][e]) / (left + right), 2e-5);
  }
}

TEST(FactoredScoresBits, ABlockHasTheBitsOfItsKeys) {
  const FactoredShape s{3, 150, 1, 0, 1, 64, 3, 1, 1.0f};
  std::vector<std::uint32_t> all;
  for (std::uint32_t i = 0; i < 3 * 5; ++i)
    all.push_back(100 + i);
  Buffer<std::uint32_t> seen = buffer_of(all);
  for (std::int64_t block = 0; block < 3; ++block) {
    const std::size_t words = block == 2 ? 1 : 2;
    Buffer<std::uint32_t> bits = buffer_of(std::vector<std::uint32_t>(3 * words + 1, 7)); // one behind the end
    block_bits(s, block, bits.data(), seen.data());
    fence();
    std::vector<std::uint32_t> got(3 * words + 1);
    copy_to_host(got.data(), bits.data(), bits.bytes());
    EXPECT_EQ(got.back(), 7u);
    for (std::size_t b = 0; b < 3; ++b)
      for (std::size_t word = 0; word < words; ++word)
        EXPECT_EQ(got[b * words + word], 100 + b * 5 + 2 * static_cast<std::size_t>(block) + word);
  }
}

TEST(FactoredScoresSize, TheInnerRowIsOfWholeWordsAndNearTheRoot) {
  EXPECT_EQ(factored_inner(1), 32);
  EXPECT_EQ(factored_inner(1024), 32);
  EXPECT_EQ(factored_inner(1025), 64);
  EXPECT_EQ(factored_inner(4096), 64);
  EXPECT_EQ(factored_inner(16384), 128);
}

} // namespace
