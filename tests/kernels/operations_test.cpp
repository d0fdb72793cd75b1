// Every operation but attention: the reference against finite differences of a random weighted sum, the fast version
// against the reference, in all storage types.
#include "kernels/activation/activation.hpp"
#include "kernels/common/exponential.hpp"
#include "kernels/embedding/embedding.hpp"
#include "kernels/gemm/gemm.hpp"
#include "kernels/loss/loss.hpp"
#include "kernels/norm/norm.hpp"
#include "kernels/optimizer/optimizer.hpp"
#include "kernels/random/words.hpp"
#include "kernels/residual/residual.hpp"
#include "kernels/sum/sum.hpp"
#include "tests/kernels/numbers.hpp"
#include <gtest/gtest.h>

using namespace weft;
using namespace weft::testing;

namespace {

WEFT_STORAGE_SUITE(Operations);

const LinearShape linear_shapes[] = {{1, 1, 1}, {7, 5, 3}, {33, 64, 96}, {100, 130, 17}};

TEST(Comparison, RejectsNanAndWrongSizes) {
  EXPECT_FALSE(relative_error({1, NAN}, {1, 2}) <= 1e9);
  EXPECT_FALSE(relative_error({1}, {1, 2}) <= 1e9);
  EXPECT_FALSE(relative_error({}, {}) <= 1e9);
  EXPECT_TRUE(relative_error({1, 2}, {1, 2}) <= 0);
  EXPECT_FALSE(relative_error({1, 2.1}, {1, 2}) <= 1e-2);
}

TEST(Exponential, IsAccurateAndKeepsNan) {
  double worst = 0;
  for (float x = -86.9f; x < 87.5f; x += 0.0137f)
    worst = std::max(worst, std::abs(static_cast<double>(fast_exp(x)) / std::exp(static_cast<double>(x)) - 1));
  EXPECT_AT_MOST(worst, 3e-7);
  EXPECT_EQ(fast_exp(0.0f), 1.0f);
  EXPECT_EQ(fast_exp(-1000.0f), 0.0f);
  EXPECT_EQ(fast_exp(-INFINITY), 0.0f);
  EXPECT_TRUE(std::isnan(fast_exp(NAN)));
}

TYPED_TEST(Operations, LinearFollowsTheReference) {
  for (const LinearShape& s : linear_shapes) {
    const auto x = rounded<TypeParam>(random_doubles(s.rows * s.inputs, 1)),
               w = rounded<TypeParam>(random_doubles(s.inputs * s.outputs, 2)),
               b = rounded<float>(random_doubles(s.outputs, 3)),
               dy = rounded<TypeParam>(random_doubles(s.rows * s.outputs, 4));
    linear_reserve(linear_workspace_bytes<TypeParam>(s));
    Doubles y(dy.size()), dx(x.size()), dw(w.size());
    reference::linear_forward(s, y.data(), x.data(), w.data(), b.data());
    reference::linear_backward_input(s, dx.data(), dy.data(), w.data());
    reference::linear_backward_weight(s, dw.data(), x.data(), dy.data());
    const auto device_x = to_device<TypeParam>(x), device_w = to_device<TypeParam>(w),
               device_dy = to_device<TypeParam>(dy);
    const auto device_b = to_device<float>(b);
    auto out = to_device<TypeParam>(Doubles(y.size(), NAN)), out_dx = to_device<TypeParam>(Doubles(x.size(), NAN));
    auto out_dw = to_device<float>(Doubles(w.size(), NAN)), out_float = to_device<float>(Doubles(y.size(), NAN));
    linear_forward(s, out.data(), device_x.data(), device_w.data(), device_b.data());
    linear_forward(s, out_float.data(), device_x.data(), device_w.data(), device_b.data());
    linear_backward_input(s, out_dx.data(), device_dy.data(), device_w.data());
    linear_backward_weight(s, out_dw.data(), device_x.data(), device_dy.data());
    EXPECT_AT_MOST(relative_error(to_doubles(out), y), this->limit);
    EXPECT_AT_MOST(relative_error(to_doubles(out_float), y), 3e-6);
    EXPECT_AT_MOST(relative_error(to_doubles(out_dx), dx), this->limit);
    EXPECT_AT_MOST(relative_error(to_doubles(out_dw), dw), 3e-6);
  }
}

TEST(Reference, LinearGradientsAreThoseOfFiniteDifferences) {
  const LinearShape s{4, 3, 5};
  const auto x = random_doubles(12, 1), w = random_doubles(15, 2), b = random_doubles(5, 3),
             weight = random_doubles(20, 4);
  const auto value = [&](const Doubles& at_x, const Doubles& at_w) {
    Doubles y(20);
    reference::linear_forward(s, y.data(), at_x.data(), at_w.data(), b.data());
    return dot(y, weight);
  };
  Doubles dx(12), dw(15);
  reference::linear_backward_input(s, dx.data(), weight.data(), w.data());
  reference::linear_backward_weight(s, dw.data(), x.data(), weight.data());
  EXPECT_AT_MOST(relative_error(dx, finite_difference([&](const Doubles& at) { return value(at, w); }, x)), 1e-7);
  EXPECT_AT_MOST(relative_error(dw, finite_difference([&](const Doubles& at) { return value(x, at); }, w)), 1e-7);
}

TEST(Reference, NormGradientsAreThoseOfFiniteDifferences) {
  const std::int64_t rows = 3, width = 7;
  const auto x = random_doubles(21, 1), gain = random_doubles(7, 2), bias = random_doubles(7, 3),
             weight = random_doubles(21, 4);
  Doubles mean(3), rstd(3), out(21);
  const auto value = [&](const Doubles& at_x, const Doubles& at_gain, const Doubles& at_bias) {
    Doubles m(3), r(3), y(21);
    reference::norm_forward(y.data(), m.data(), r.data(), at_x.data(), at_gain.data(), at_bias.data(), rows, width,
                            1e-5);
    return dot(y, weight);
  };
  reference::norm_forward(out.data(), mean.data(), rstd.data(), x.data(), gain.data(), bias.data(), rows, width, 1e-5);
  Doubles dx(21, 0), dgain(7), dbias(7);
  reference::norm_backward(dx.data(), dgain.data(), dbias.data(), weight.data(), x.data(), mean.data(), rstd.data(),
                           gain.data(), rows, width);
  EXPECT_AT_MOST(relative_error(dx, finite_difference([&](const Doubles& at) { return value(at, gain, bias); }, x)),
                 1e-7);
  EXPECT_AT_MOST(relative_error(dgain, finite_difference([&](const Doubles& at) { return value(x, at, bias); }, gain)),
                 1e-7);
  EXPECT_AT_MOST(relative_error(dbias, finite_difference([&](const Doubles& at) { return value(x, gain, at); }, bias)),
                 1e-7);
}

TYPED_TEST(Operations, NormFollowsTheReferenceAndAddsToDx) {
  for (const auto& [rows, width] : {std::pair<std::int64_t, std::int64_t>{1, 1}, {3, 7}, {65, 48}, {200, 129}}) {
    const auto x = rounded<TypeParam>(random_doubles(rows * width, 1)),
               dout = rounded<TypeParam>(random_doubles(rows * width, 4)),
               before = rounded<TypeParam>(random_doubles(rows * width, 5));
    const auto gain = rounded<float>(random_doubles(width, 2)), bias = rounded<float>(random_doubles(width, 3));
    Doubles out(x.size()), mean(static_cast<std::size_t>(rows)), rstd(mean), dx = before, dgain(gain.size()),
                                                                             dbias(gain.size());
    reference::norm_forward(out.data(), mean.data(), rstd.data(), x.data(), gain.data(), bias.data(), rows, width,
                            1e-2);
    reference::norm_backward(dx.data(), dgain.data(), dbias.data(), dout.data(), x.data(), mean.data(), rstd.data(),
                             gain.data(), rows, width);
    const auto dev_x = to_device<TypeParam>(x), dev_dout = to_device<TypeParam>(dout);
    const auto dev_gain = to_device<float>(gain), dev_bias = to_device<float>(bias);
    auto dev_out = to_device<TypeParam>(Doubles(x.size(), NAN)), dev_dx = to_device<TypeParam>(before);
    auto dev_mean = to_device<float>(Doubles(mean.size(), NAN)), dev_rstd = to_device<float>(Doubles(mean.size(), NAN)),
         dev_dgain = to_device<float>(Doubles(gain.size(), NAN)),
         dev_dbias = to_device<float>(Doubles(gain.size(), NAN));
    Buffer<float> partial(norm_workspace(rows, width), "test");
    norm_forward(dev_out.data(), dev_mean.data(), dev_rstd.data(), dev_x.data(), dev_gain.data(), dev_bias.data(), rows,
                 width, 1e-2f);
    auto dev_again = to_device<TypeParam>(Doubles(x.size(), NAN));
    norm_again(dev_again.data(), dev_mean.data(), dev_rstd.data(), dev_x.data(), dev_gain.data(), dev_bias.data(), rows,
               width);
    EXPECT_EQ(to_doubles(dev_again), to_doubles(dev_out));
    norm_backward(dev_dx.data(), dev_dgain.data(), dev_dbias.data(), dev_dout.data(), dev_x.data(), dev_mean.data(),
                  dev_rstd.data(), dev_gain.data(), rows, width, partial.data());
    EXPECT_AT_MOST(relative_error(to_doubles(dev_out), out), this->limit);
    EXPECT_AT_MOST(relative_error(to_doubles(dev_dx), dx), this->limit);
    EXPECT_AT_MOST(relative_error(to_doubles(dev_dgain), dgain), 1e-5);
    EXPECT_AT_MOST(relative_error(to_doubles(dev_dbias), dbias), 1e-5);
  }
}

TYPED_TEST(Operations, ActivationFollowsTheReferenceWhichFollowsFiniteDifferences) {
  const std::int64_t rows = 133, width = 301, n = rows * width;
  const auto u = rounded<TypeParam>(random_doubles(n, 1, 3)), dout = rounded<TypeParam>(random_doubles(n, 2));
  Doubles out(u.size()), du(u.size());
  reference::activation_forward(out.data(), u.data(), n);
  reference::activation_backward(du.data(), dout.data(), u.data(), n);
  const Doubles few(u.begin(), u.begin() + 20), few_dout(dout.begin(), dout.begin() + 20),
      few_du(du.begin(), du.begin() + 20);
  EXPECT_AT_MOST(relative_error(few_du, finite_difference(
                                            [&](const Doubles& at) {
                                              Doubles y(20);
                                              reference::activation_forward(y.data(), at.data(), 20);
                                              return dot(y, few_dout);
                                            },
                                            few)),
                 1e-7);
  const auto dev_u = to_device<TypeParam>(u);
  auto dev_out = to_device<TypeParam>(Doubles(u.size(), NAN)), dev_du = to_device<TypeParam>(dout);
  activation_forward(dev_out.data(), dev_u.data(), n);
  auto dev_again = to_device<TypeParam>(Doubles(u.size(), NAN));
  auto dev_dbias = to_device<float>(Doubles(static_cast<std::size_t>(width), NAN));
  Buffer<float> partial(column_sum_workspace(rows, width), "test");
  activation_backward(dev_again.data(), dev_du.data(), dev_dbias.data(), dev_du.data(), dev_u.data(), rows, width,
                      partial.data()); // in place
  const Doubles got = to_doubles(dev_du);
  Doubles dbias(static_cast<std::size_t>(width), 0);
  for (std::int64_t i = 0; i < n; ++i)
    dbias[static_cast<std::size_t>(i % width)] += got[static_cast<std::size_t>(i)];
  EXPECT_AT_MOST(relative_error(to_doubles(dev_dbias), dbias), 3e-6);
  EXPECT_AT_MOST(relative_error(to_doubles(dev_again), out), this->limit);
  EXPECT_AT_MOST(relative_error(to_doubles(dev_out), out), this->limit);
  EXPECT_AT_MOST(relative_error(to_doubles(dev_du), du), this->limit);
}

TYPED_TEST(Operations, CrossEntropyFollowsTheReferenceWhichFollowsFiniteDifferences) {
  const std::int64_t rows = 37;
  for (const std::int64_t vocabulary : {1, 53, 256, 1025}) {
    auto z = rounded<float>(random_doubles(rows * vocabulary, 1, 3));
    if (vocabulary == 53)
      z[5 * 53 + 35] = z[5 * 53 + 3] = 4; // equals: the first counts
    std::vector<std::uint16_t> targets;
    for (int i = 0; i < rows; ++i)
      targets.push_back(static_cast<std::uint16_t>(i * 7 % vocabulary));
    Doubles losses(static_cast<std::size_t>(rows)), dz(z.size());
    reference::cross_entropy(losses.data(), dz.data(), z.data(), targets.data(), 0.25, rows, vocabulary);
    const Doubles few(z.begin(), z.begin() + 2 * vocabulary), few_dz(dz.begin(), dz.begin() + 2 * vocabulary);
    EXPECT_AT_MOST(relative_error(few_dz, finite_difference(
                                              [&](const Doubles& at) {
                                                Doubles l(2), d(at.size());
                                                reference::cross_entropy(l.data(), d.data(), at.data(), targets.data(),
                                                                         1, 2, vocabulary);
                                                return 0.25 * (l[0] + l[1]);
                                              },
                                              few)),
                   1e-7);
    const auto dev_z = to_device<float>(z);
    Buffer<std::uint16_t> dev_targets(rows, "test");
    copy_to_device(dev_targets.data(), targets.data(), dev_targets.bytes());
    auto dev_losses = to_device<float>(Doubles(losses.size(), NAN)),
         dev_hits = to_device<float>(Doubles(losses.size(), NAN));
    auto dev_dz = to_device<TypeParam>(Doubles(z.size(), NAN));
    cross_entropy(dev_losses.data(), dev_hits.data(), dev_dz.data(), dev_z.data(), dev_targets.data(), 0.25f, rows,
                  vocabulary);
    EXPECT_AT_MOST(relative_error(to_doubles(dev_losses), losses), 3e-6);
    EXPECT_AT_MOST(relative_error(to_doubles(dev_dz), dz), this->limit);
    const Doubles hits = to_doubles(dev_hits);
    for (int i = 0; i < rows; ++i) {
      const auto row = z.begin() + i * vocabulary;
      const bool right = std::max_element(row, row + vocabulary) - row == targets[static_cast<std::size_t>(i)];
      EXPECT_EQ(hits[static_cast<std::size_t>(i)], right ? 1 : 0);
    }
  }
}

TYPED_TEST(Operations, EmbeddingFollowsTheReferenceWhichFollowsFiniteDifferences) {
  const EmbeddingShape s{2, 13, 5, 11};
  Coordinates at;
  at.count = 3;
  at.extents[0] = 3;
  at.extents[1] = 2;
  at.extents[2] = 3;
  const std::int64_t sizes[] = {s.vocabulary * s.width, s.width, 3 * s.width, 2 * s.width, 3 * s.width};
  std::int64_t all = 0;
  for (std::int64_t n : sizes)
    all += n;
  const auto split = [&](auto* p) {
    EmbeddingTables<decltype(p)> t{p, p + sizes[0], {}};
    p += sizes[0] + sizes[1];
    for (std::size_t c = 0; c < 3; p += sizes[2 + c], ++c)
      t.position[c] = p;
    return t;
  };
  std::vector<std::uint16_t> tokens;
  for (int i = 0; i < s.batch * s.length; ++i)
    tokens.push_back(static_cast<std::uint16_t>(i * i % s.vocabulary));
  const auto tables = rounded<float>(random_doubles(all, 1));
  const auto dout = rounded<TypeParam>(random_doubles(s.batch * s.length * s.width, 2));
  Doubles out(dout.size()), dtables(tables.size(), NAN);
  reference::embedding_forward(out.data(), s, at, split(tables.data()), tokens.data());
  reference::embedding_backward(split(dtables.data()), s, at, dout.data(), tokens.data());
  EXPECT_AT_MOST(relative_error(dtables, finite_difference(
                                             [&](const Doubles& values) {
                                               Doubles y(dout.size());
                                               reference::embedding_forward(y.data(), s, at, split(values.data()),
                                                                            tokens.data());
                                               return dot(y, dout);
                                             },
                                             tables)),
                 1e-7);
  // Slot 0 is the start vector alone; slot i does not see token i.
  for (std::int64_t j = 0; j < s.width; ++j)
    EXPECT_EQ(out[static_cast<std::size_t>(j)], tables[static_cast<std::size_t>(sizes[0] + j)]);
  const auto dev_tables = to_device<float>(tables);
  auto dev_dtables = to_device<float>(Doubles(tables.size(), NAN));
  auto dev_out = to_device<TypeParam>(Doubles(out.size(), NAN));
  const auto dev_dout = to_device<TypeParam>(dout);
  Buffer<std::uint16_t> dev_tokens(s.batch * s.length, "test");
  copy_to_device(dev_tokens.data(), tokens.data(), dev_tokens.bytes());
  embedding_forward(dev_out.data(), s, at, split(dev_tables.data()), dev_tokens.data());
  embedding_backward(split(dev_dtables.data()), s, at, dev_dout.data(), dev_tokens.data());
  EXPECT_AT_MOST(relative_error(to_doubles(dev_out), out), this->limit);
  EXPECT_AT_MOST(relative_error(to_doubles(dev_dtables), dtables), 3e-6);
}

TEST(RunningStatistic, FollowsTheReferenceOverSteps) {
  Doubles w = rounded<float>(random_doubles(2500, 1));
  Buffer<float> moved = to_device<float>(w);
  for (unsigned t = 2; t < 6; ++t) {
    const Doubles measured = rounded<float>(random_doubles(2500, t, 100));
    reference::running_step(w.data(), measured.data(), 2500, 0.1, 1.0 / 3);
    running_step(moved.data(), to_device<float>(measured).data(), 2500, 0.1, 1.0 / 3);
    fence();
  }
  EXPECT_AT_MOST(relative_error(to_doubles(moved), w), 1e-6);
}

TEST(Adam, FollowsTheReferenceOverSteps) {
  for (bool decoupled : {false, true}) {
    Doubles w = rounded<float>(random_doubles(2500, 1)), m(2500, 0), v(2500, 0);
    auto dev_w = to_device<float>(w), dev_m = to_device<float>(m), dev_v = to_device<float>(v);
    for (int t = 1; t <= 5; ++t) {
      const AdamStep step{1e-2, 0.9, 0.99, 1e-8, 0.1, decoupled, 0.5, t};
      const auto g = rounded<float>(random_doubles(2500, 10 + static_cast<unsigned>(t)));
      const auto dev_g = to_device<float>(g);
      reference::adam_step(w.data(), m.data(), v.data(), g.data(), 2500, step);
      adam_step(dev_w.data(), dev_m.data(), dev_v.data(), dev_g.data(), 2500, step);
    }
    EXPECT_AT_MOST(relative_error(to_doubles(dev_w), w), 1e-6);
    EXPECT_AT_MOST(relative_error(to_doubles(dev_m), m), 1e-6);
    EXPECT_AT_MOST(relative_error(to_doubles(dev_v), v), 1e-6);
  }
}

TEST(RandomWords, AreTheNumbersOfPhilox) {
  const RandomKey key{0x123456789abcdefull, 7, 3, 5};
  for (const std::uint32_t first : {0u, 13u, 0xfffffff0u}) {
    std::vector<std::uint32_t> words(4 * (40 + words_group));
    random_words(words.data(), key, first, 37);
    for (std::uint32_t block = 0; block < 37; ++block)
      for (std::uint32_t v = 0; v < 4; ++v)
        ASSERT_EQ(words[4 * block + v], random4(key, first + block).x[v]);
  }
}

/// The factors 0 or 1/(1-p) of (batch, length, width), number by number as residual.hpp and philox.hpp define them.
Doubles factors_of(const Dropout& d, const ResidualShape& s) {
  Doubles out;
  for (std::int64_t i = 0; i < s.batch * s.length * s.width; ++i) {
    const std::int64_t n = s.length * s.width, at = i % n;
    const RandomKey key{d.seed, d.step, d.first_sample + static_cast<std::uint32_t>(i / n), d.tensor};
    const std::uint32_t number = random4(key, static_cast<std::uint32_t>(at / 4)).x[at % 4];
    out.push_back(d.probability > 0 && !dropout_keeps(number, dropout_threshold(d.probability))
                      ? 0
                      : static_cast<double>(1 / (1 - d.probability)));
  }
  return out;
}

TYPED_TEST(Operations, ResidualAddsWhatItsMaskKeepsAndNormalisesTheSum) {
  for (const ResidualShape shape : {ResidualShape{2, 5, 8}, {3, 70, 49}, {1, 3, 600}, {2, 67, 301}})
    for (const float p : {0.0f, 0.25f}) {
      const std::int64_t rows = shape.batch * shape.length, n = rows * shape.width;
      const Dropout dropout{p, 42, 7, 3, 5};
      const Doubles factors = factors_of(dropout, shape);
      const auto x = rounded<TypeParam>(random_doubles(n, 1)), y = rounded<TypeParam>(random_doubles(n, 2)),
                 dout = rounded<TypeParam>(random_doubles(n, 3));
      const auto gain = rounded<float>(random_doubles(shape.width, 4)),
                 bias = rounded<float>(random_doubles(shape.width, 5));
      Doubles sum(x.size()), dy(x.size()), dbias(gain.size(), 0);
      for (std::size_t i = 0; i < x.size(); ++i) {
        sum[i] = load(store<TypeParam>(static_cast<float>(x[i] + factors[i] * y[i])));
        dy[i] = factors[i] * dout[i];
        dbias[i % gain.size()] += dy[i];
      }
      Doubles normed(x.size()), mean(static_cast<std::size_t>(rows)), rstd(mean);
      reference::norm_forward(normed.data(), mean.data(), rstd.data(), sum.data(), gain.data(), bias.data(), rows,
                              shape.width, 1e-2);
      auto got = to_device<TypeParam>(Doubles(x.size(), NAN)),
           got_normed = to_device<TypeParam>(Doubles(x.size(), NAN)),
           got_dy = to_device<TypeParam>(Doubles(x.size(), NAN));
      auto got_mean = to_device<float>(Doubles(mean.size(), NAN)),
           got_rstd = to_device<float>(Doubles(mean.size(), NAN)),
           got_dbias = to_device<float>(Doubles(gain.size(), NAN));
      const auto dev_gain = to_device<float>(gain), dev_bias = to_device<float>(bias);
      Buffer<float> partial(column_sum_workspace(rows, shape.width), "test");
      residual_forward(got.data(), got_normed.data(), got_mean.data(), got_rstd.data(), to_device<TypeParam>(x).data(),
                       to_device<TypeParam>(y).data(), dropout, dev_gain.data(), dev_bias.data(), 1e-2f, shape);
      residual_backward(got_dy.data(), got_dbias.data(), to_device<TypeParam>(dout).data(), dropout, shape,
                        partial.data());
      EXPECT_AT_MOST(relative_error(to_doubles(got), sum), this->limit);
      EXPECT_AT_MOST(relative_error(to_doubles(got_normed), normed), this->limit);
      EXPECT_AT_MOST(relative_error(to_doubles(got_mean), mean), this->limit);
      EXPECT_AT_MOST(relative_error(to_doubles(got_rstd), rstd), this->limit);
      EXPECT_AT_MOST(relative_error(to_doubles(got_dy), dy), this->limit);
      EXPECT_AT_MOST(relative_error(to_doubles(got_dbias), dbias), this->limit);
    }
}

TYPED_TEST(Operations, WhatWasAddedToAStreamIsTakenAwayAgain) {
  const ResidualShape shape{2, 5, 37};
  const std::int64_t n = shape.batch * shape.length * shape.width;
  for (const float p : {0.0f, 0.4f}) {
    const Dropout dropout{p, 3, 8, 1, 6};
    const Doubles x = rounded<float>(random_doubles(n, 1)), y = rounded<TypeParam>(random_doubles(n, 2));
    Buffer<float> stream = to_device<float>(x);
    Buffer<TypeParam> branch = to_device<TypeParam>(y), masked(n, "test");
    dropout_forward(masked.data(), branch.data(), dropout, shape);
    residual_add(stream.data(), branch.data(), 1, dropout, shape);
    Doubles sum = x;
    const Doubles kept = to_doubles(masked);
    for (std::size_t i = 0; i < sum.size(); ++i)
      sum[i] += kept[i];
    EXPECT_AT_MOST(relative_error(to_doubles(stream), sum), this->limit);
    residual_add(stream.data(), branch.data(), -1, dropout, shape);
    EXPECT_AT_MOST(relative_error(to_doubles(stream), x), 1e-6);
    const Doubles nan(static_cast<std::size_t>(n), NAN);
    residual_add(stream.data(), to_device<TypeParam>(nan).data(), 1, Dropout{}, shape);
    EXPECT_TRUE(std::isnan(to_doubles(stream)[36]));
  }
}

TEST(AddToRows, AddsToEveryRow) {
  const Doubles a = rounded<float>(random_doubles(5 * 9, 1)), b = rounded<float>(random_doubles(9, 2));
  Buffer<float> sum = to_device<float>(a);
  add_to_rows(sum.data(), to_device<float>(b).data(), 5, 9);
  const Doubles got = to_doubles(sum);
  for (std::size_t i = 0; i < got.size(); ++i)
    EXPECT_NEAR(got[i], a[i] + b[i % 9], 1e-6);
}

TEST(Dropout, KeepsWhatItShouldOnAverage) {
  const Doubles factors = factors_of({0.25f, 42, 7, 3, 5}, {2, 5001, 4});
  double mean = 0;
  for (const double f : factors)
    mean += f / static_cast<double>(factors.size());
  EXPECT_NEAR(mean, 1, 0.02); // 5 standard deviations
}

TYPED_TEST(Operations, DropoutReadsItsMomentWhereTheKernelsRun) {
  const ResidualShape shape{2, 17, 59};
  const std::int64_t rows = shape.batch * shape.length, n = rows * shape.width;
  const Doubles zeros(static_cast<std::size_t>(n), 0), ones(zeros.size(), 1);
  const auto x = to_device<TypeParam>(zeros), y = to_device<TypeParam>(ones);
  auto told = to_device<TypeParam>(zeros), read = to_device<TypeParam>(zeros), normed = to_device<TypeParam>(zeros),
       backward = to_device<TypeParam>(zeros);
  const auto width = to_device<float>(Doubles(static_cast<std::size_t>(shape.width), 1));
  Buffer<float> mean(rows, "test"), rstd(rows, "test"), dbias(shape.width, "test"),
      partial(column_sum_workspace(rows, shape.width), "test");
  Buffer<std::uint32_t> moment(2, "moment");
  Dropout recorded{0.25f, 42, 1000, 1000, 5}; // what the kernel is launched with does not count
  recorded.moment = moment.data();
  const auto forward = [&](Buffer<TypeParam>& out, const Dropout& dropout) {
    residual_forward(out.data(), normed.data(), mean.data(), rstd.data(), x.data(), y.data(), dropout, width.data(),
                     width.data(), 1e-5f, shape);
  };
  Doubles last;
  for (std::uint32_t step = 7; step < 9; ++step) {
    const std::uint32_t now[] = {step, 3};
    copy_to_device(moment.data(), now, sizeof now);
    forward(read, recorded);
    forward(told, {0.25f, 42, step, 3, 5});
    EXPECT_EQ(to_doubles(read), to_doubles(told));
    EXPECT_NE(to_doubles(read), last);
    last = to_doubles(read);
    residual_backward(backward.data(), dbias.data(), y.data(), recorded, shape, partial.data());
    EXPECT_EQ(to_doubles(backward), last); // the same mask backwards
  }
}

TYPED_TEST(Operations, ColumnSumAndFirstNonfinite) {
  const std::int64_t rows = 200, columns = 75;
  auto a = rounded<TypeParam>(random_doubles(rows * columns, 1));
  Doubles sums(static_cast<std::size_t>(columns), 0);
  for (std::int64_t i = 0; i < rows * columns; ++i)
    sums[static_cast<std::size_t>(i % columns)] += a[static_cast<std::size_t>(i)];
  auto out = to_device<float>(Doubles(sums.size(), NAN));
  Buffer<float> partial(column_sum_workspace(rows, columns), "test");
  column_sum(out.data(), to_device<TypeParam>(a).data(), rows, columns, partial.data());
  EXPECT_AT_MOST(relative_error(to_doubles(out), sums), 3e-6);
  EXPECT_EQ(first_nonfinite(to_device<TypeParam>(a).data(), rows * columns), -1);
  a[777] = NAN;
  a[9999] = INFINITY;
  EXPECT_EQ(first_nonfinite(to_device<TypeParam>(a).data(), rows * columns), 777);
}

TEST(SumOfSquares, IsRightAndShowsNan) {
  auto a = rounded<float>(random_doubles(10000, 1));
  EXPECT_NEAR(sum_of_squares(to_device<float>(a).data(), 10000), dot(a, a), 1e-9 * dot(a, a));
  a[5000] = NAN;
  EXPECT_TRUE(std::isnan(sum_of_squares(to_device<float>(a).data(), 10000)));
}

TEST(Philox, GivesThePublishedNumbers) {
  // Known answers of the authors' Random123: zero, all ones, and digits of pi.
  const Philox4 zero = philox({{0, 0, 0, 0}}, 0, 0);
  EXPECT_EQ(zero.x[0], 0x6627e8d5u);
  EXPECT_EQ(zero.x[3], 0x9b00dbd8u);
  const Philox4 ones = philox({{~0u, ~0u, ~0u, ~0u}}, ~0u, ~0u);
  EXPECT_EQ(ones.x[0], 0x408f276du);
  EXPECT_EQ(ones.x[1], 0x41c83b0eu);
  const Philox4 pi = philox({{0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u}}, 0xa4093822u, 0x299f31d0u);
  EXPECT_EQ(pi.x[0], 0xd16cfe09u);
}

} // namespace
