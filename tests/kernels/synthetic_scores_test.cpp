// Promise: the factors that are joined to queries and keys multiply to the Synthesizer's scores, and their gradients
// are those of the scores.
#include "kernels/sum/sum.hpp"
#include "kernels/synthesizer/synthetic_scores.hpp"
#include "tests/kernels/kernel_test.hpp"

namespace {

WEFT_STORAGE_SUITE(SyntheticScores);

/// B, N, H, E, Ev, F, stride, longest, factor; d = F - 1 for dense.
const JoinShape shapes[] = {
    {1, 1, 1, 0, 1, 2, 4, 1, 1.0f}, {2, 7, 3, 4, 5, 4, 50, 9, 2.0f}, {3, 40, 2, 0, 6, 9, 31, 40, 1.0f}};
const HiddenForm forms[] = {{false, false}, {true, true}};

/// The seams of a shape whose parameters are as long as its rows.
JoinShape tight(JoinShape s) {
  s.longest = s.length;
  return s;
}
/// The first `length` of `longest` positions; `inner` numbers behind each, `outer` in front.
Doubles corner(const Doubles& all, std::int64_t outer, std::int64_t longest, std::int64_t length, std::int64_t inner) {
  Doubles out;
  for (std::int64_t o = 0; o < outer; ++o)
    for (std::int64_t i = 0; i < length * inner; ++i)
      out.push_back(all[static_cast<std::size_t>(o * longest * inner + i)]);
  return out;
}

/// What the products of joined rows give, and the gradients of q' and k' that slopes da of these scores have.
struct Products {
  Doubles a, djoined; ///< [B,H,N,N]; like joined, the values' part 9
};
Products products_of(const JoinShape& s, const Doubles& joined, const Doubles& da) {
  const std::int64_t N = s.length, H = s.heads, E = s.key_width, W = E + s.features, row = joined_width(s);
  Products p{Doubles(static_cast<std::size_t>(s.sequences * H * N * N)), Doubles(joined.size(), 9)};
  for (std::int64_t b = 0; b < s.sequences; ++b)
    for (std::int64_t h = 0; h < H; ++h)
      for (std::int64_t n = 0; n < N; ++n)
        for (std::int64_t f = E; f < W; ++f)
          for (std::int64_t at : {h * W + f, (H + h) * W + f})
            p.djoined[static_cast<std::size_t>((b * N + n) * row + at)] = 0;
  for (std::int64_t b = 0; b < s.sequences; ++b)
    for (std::int64_t h = 0; h < H; ++h)
      for (std::int64_t i = 0; i < N; ++i)
        for (std::int64_t j = 0; j < N; ++j)
          for (std::int64_t f = E; f < W; ++f) {
            const auto q = static_cast<std::size_t>((b * N + i) * row + h * W + f);
            const auto k = static_cast<std::size_t>((b * N + j) * row + (H + h) * W + f);
            const auto pair = static_cast<std::size_t>(((b * H + h) * N + i) * N + j);
            const double scale = 1 / static_cast<double>(s.factor);
            p.a[pair] += scale * joined[q] * joined[k];
            p.djoined[q] += scale * da[pair] * joined[k];
            p.djoined[k] += scale * da[pair] * joined[q];
          }
  return p;
}

TEST(Reference, SyntheticScoresGradientsAreThoseOfFiniteDifferences) {
  const JoinShape s{2, 4, 3, 0, 1, 3, 1, 4, 1.0f};
  const std::int64_t N = 4, H = 3, F = 3, d = 2;
  const Doubles left = random_doubles(H * N * F, 1), right = random_doubles(H * N * F, 2),
                da = random_doubles(2 * H * N * N, 3);
  Doubles dleft(left.size()), dright(right.size());
  reference::factor_scores_backward(s, dleft.data(), dright.data(), da.data(), left.data(), right.data());
  const auto factored = [&](const Doubles& l, const Doubles& r) {
    Doubles a(static_cast<std::size_t>(H * N * N));
    reference::factor_scores_forward(s, a.data(), l.data(), r.data());
    return dot(a, da);
  };
  const auto slope = [](const std::function<double(const Doubles&)>& f, const Doubles& x) {
    return finite_difference(f, x);
  };
  EXPECT_AT_MOST(relative_error(dleft, slope([&](const Doubles& x) { return factored(x, right); }, left)), 1e-9);
  EXPECT_AT_MOST(relative_error(dright, slope([&](const Doubles& x) { return factored(left, x); }, right)), 1e-9);
  for (const HiddenForm form : forms) {
    const std::int64_t own = form.shared ? 1 : H;
    Doubles u = random_doubles(2 * N * H * d, 4), bias = random_doubles(H * d, 5, 0.01);
    for (double& x : u) // away from the kink
      x += x > 0 ? 0.2 : -0.2;
    const Doubles w = random_doubles(own * d * N, 6), c = random_doubles(own * N, 7);
    Doubles du(u.size()), dbias(bias.size()), dw(w.size()), dc(c.size());
    reference::hidden_scores_backward(s, form, du.data(), dbias.data(), dw.data(), dc.data(), da.data(), u.data(),
                                      bias.data(), w.data());
    const auto value = [&](const Doubles& uu, const Doubles& bb, const Doubles& ww, const Doubles& cc) {
      Doubles a(da.size());
      reference::hidden_scores_forward(s, form, a.data(), uu.data(), bb.data(), ww.data(), cc.data());
      return dot(a, da);
    };
    EXPECT_AT_MOST(relative_error(du, slope([&](const Doubles& x) { return value(x, bias, w, c); }, u)), 1e-9);
    EXPECT_AT_MOST(relative_error(dbias, slope([&](const Doubles& x) { return value(u, x, w, c); }, bias)), 1e-9);
    EXPECT_AT_MOST(relative_error(dw, slope([&](const Doubles& x) { return value(u, bias, x, c); }, w)), 1e-9);
    EXPECT_AT_MOST(relative_error(dc, slope([&](const Doubles& x) { return value(u, bias, w, x); }, c)), 1e-9);
  }
}

TYPED_TEST(SyntheticScores, JoinedRowsHoldQueriesKeysAndValuesAndGiveThemBack) {
  using T = TypeParam;
  for (const JoinShape& s : shapes) {
    const std::int64_t R = s.sequences * s.length, used = s.heads * (2 * s.key_width + s.value_width);
    std::vector<T> rows(static_cast<std::size_t>(R * s.row_stride), Guarded<T>::sentinel());
    for (std::int64_t r = 0; r < R; ++r)
      for (std::int64_t e = 0; e < used; ++e)
        rows[static_cast<std::size_t>(r * s.row_stride + e)] = store<T>(static_cast<float>((r * 7 + e) % 100));
    Guarded<T> qkv(rows), back(rows.size()), joined(static_cast<std::size_t>(R * joined_width(s)));
    join_rows_forward(s, joined.data(), qkv.data());
    join_rows_backward(s, back.data(), joined.data());
    EXPECT_TRUE(test::same_bits(back.get(), rows));
    EXPECT_TRUE(joined.guards_survive() && back.guards_survive());
    // Queries and keys of a head begin its columns.
    const std::vector<T> all = joined.get();
    const std::int64_t W = s.key_width + s.features, last = R - 1, h = s.heads - 1;
    for (std::int64_t e = 0; e < s.key_width; ++e) {
      EXPECT_EQ(load(all[static_cast<std::size_t>(last * joined_width(s) + h * W + e)]),
                load(rows[static_cast<std::size_t>(last * s.row_stride + h * s.key_width + e)]));
      EXPECT_EQ(load(all[static_cast<std::size_t>(last * joined_width(s) + (s.heads + h) * W + e)]),
                load(rows[static_cast<std::size_t>(last * s.row_stride + (s.heads + h) * s.key_width + e)]));
    }
  }
}

TYPED_TEST(SyntheticScores, FactorsMultiplyToThemAndGetTheirGradients) {
  using T = TypeParam;
  for (const JoinShape& s : shapes) {
    const std::int64_t N = s.length, H = s.heads, F = s.features;
    const Doubles left = rounded<T>(random_doubles(H * s.longest * F, 1)),
                  right = rounded<T>(random_doubles(H * s.longest * F, 2));
    Buffer<float> l = to_device<float>(left), r = to_device<float>(right);
    Guarded<T> joined(static_cast<std::size_t>(s.sequences * N * joined_width(s)));
    factors_forward(s, joined.data(), l.data(), r.data());
    EXPECT_TRUE(joined.guards_survive());
    Doubles want(static_cast<std::size_t>(H * N * N)), da = random_doubles(s.sequences * H * N * N, 3);
    const Doubles cut_left = corner(left, H, s.longest, N, F), cut_right = corner(right, H, s.longest, N, F);
    reference::factor_scores_forward(tight(s), want.data(), cut_left.data(), cut_right.data());
    const Products products = products_of(s, test::widened(joined.get()), da);
    Doubles sum(want.size(), 0), dleft(cut_left.size()), dright(cut_right.size());
    for (std::int64_t b = 0; b < s.sequences; ++b) {
      const auto at = static_cast<std::ptrdiff_t>(b * H * N * N);
      EXPECT_AT_MOST(relative_error(Doubles(products.a.begin() + at, products.a.begin() + at + H * N * N), want),
                     TestFixture::limit);
      for (std::size_t i = 0; i < sum.size(); ++i)
        sum[i] += da[static_cast<std::size_t>(at) + i];
    }
    reference::factor_scores_backward(tight(s), dleft.data(), dright.data(), sum.data(), cut_left.data(),
                                      cut_right.data());
    Buffer<T> slopes = to_device<T>(products.djoined);
    Guarded<float> dl(left.size()), dr(right.size());
    factors_backward(s, dl.data(), dr.data(), slopes.data());
    EXPECT_TRUE(dl.guards_survive() && dr.guards_survive());
    EXPECT_AT_MOST(relative_error(corner(test::widened(dl.get()), H, s.longest, N, F), dleft), TestFixture::limit);
    EXPECT_AT_MOST(relative_error(corner(test::widened(dr.get()), H, s.longest, N, F), dright), TestFixture::limit);
  }
}

TYPED_TEST(SyntheticScores, HiddenNumbersMultiplyToThemAndGetTheirGradients) {
  using T = TypeParam;
  for (const JoinShape& s : shapes)
    for (const HiddenForm form : forms) {
      const std::int64_t B = s.sequences, N = s.length, H = s.heads, d = s.features - 1, own = form.shared ? 1 : H;
      const Doubles u = rounded<T>(random_doubles(B * N * H * d, 1)), bias = rounded<float>(random_doubles(H * d, 2));
      const Doubles w = rounded<T>(random_doubles(own * d * s.longest, 3)),
                    c = rounded<T>(random_doubles(own * s.longest, 4));
      Doubles spread(static_cast<std::size_t>(B * N * s.row_stride), 5);
      for (std::size_t at = 0; at < u.size(); ++at)
        spread[at / static_cast<std::size_t>(H * d) * static_cast<std::size_t>(s.row_stride) +
               at % static_cast<std::size_t>(H * d)] = u[at];
      Buffer<T> rows = to_device<T>(spread);
      Buffer<float> bb = to_device<float>(bias), ww = to_device<float>(w), cc = to_device<float>(c);
      Guarded<T> joined(static_cast<std::size_t>(B * N * joined_width(s)));
      hidden_forward(s, form, joined.data(), rows.data(), bb.data(), ww.data(), cc.data());
      EXPECT_TRUE(joined.guards_survive());
      const Doubles cut_w = corner(w, own * d, s.longest, N, 1), cut_c = corner(c, own, s.longest, N, 1);
      Doubles want(static_cast<std::size_t>(B * H * N * N));
      const Doubles da = random_doubles(B * H * N * N, 6);
      reference::hidden_scores_forward(tight(s), form, want.data(), u.data(), bias.data(), cut_w.data(), cut_c.data());
      const Products products = products_of(s, test::widened(joined.get()), da);
      EXPECT_AT_MOST(relative_error(products.a, want), TestFixture::limit);
      Doubles du(u.size()), dbias(bias.size()), dw(cut_w.size()), dc(cut_c.size());
      reference::hidden_scores_backward(tight(s), form, du.data(), dbias.data(), dw.data(), dc.data(), da.data(),
                                        u.data(), bias.data(), cut_w.data());
      Buffer<T> slopes = to_device<T>(products.djoined);
      Guarded<T> got_u(spread.size());
      Guarded<float> got_bias(bias.size()), got_w(w.size()), got_c(c.size());
      Buffer<float> partial(column_sum_workspace(B * N, H * d), "test");
      hidden_backward(s, form, got_u.data(), got_bias.data(), got_w.data(), got_c.data(), slopes.data(), rows.data(),
                      bb.data(), partial.data());
      EXPECT_TRUE(got_u.guards_survive() && got_bias.guards_survive() && got_w.guards_survive() &&
                  got_c.guards_survive());
      Doubles dense;
      const std::vector<T> all = got_u.get();
      for (std::size_t at = 0; at < all.size(); ++at)
        if (static_cast<std::int64_t>(at) % s.row_stride < H * d)
          dense.push_back(static_cast<double>(load(all[at])));
        else
          EXPECT_TRUE(Guarded<T>::is_sentinel(all[at]));
      EXPECT_AT_MOST(relative_error(dense, du), 2 * TestFixture::limit);
      EXPECT_AT_MOST(relative_error(test::widened(got_bias.get()), dbias), TestFixture::limit);
      EXPECT_AT_MOST(relative_error(corner(test::widened(got_w.get()), own * d, s.longest, N, 1), dw),
                     TestFixture::limit);
      EXPECT_AT_MOST(relative_error(corner(test::widened(got_c.get()), own, s.longest, N, 1), dc), TestFixture::limit);
    }
}

} // namespace
