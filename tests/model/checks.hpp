// What every classifier has to keep, whatever its layers: one check for the tests of all families.
#pragma once
#include "tests/model/arena_fixture.hpp"
#include <algorithm>

namespace weft::testing {

/// The same config with dropout in both places.
inline Config dropping(Config c) {
  c.model.dropout = 0.2;
  c.attention.dropout = 0.1;
  return c;
}

/// Micro-batches cut to 64 positions give the logits and, with the same masks of dropout, the gradients of whole ones.
inline void expect_shorter_is_the_same(Fixture& f, const std::string& what) {
  ASSERT_TRUE(f.model->variable_length()) << what;
  const std::vector<float> whole = f.logits();
  const Doubles gradient = f.gradient();
  f.lay_out(64);
  const std::vector<float> shorter = f.logits();
  for (std::size_t i = 0; i < whole.size(); ++i)
    EXPECT_NEAR(whole[i], shorter[i], 2e-6) << what;
  EXPECT_AT_MOST(relative_error(f.gradient(), gradient), 2e-5) << what << ": dropout drew other numbers";
}

/// Gradients are announced from the end of the list to its beginning, and what is announced does not change any more.
/// Returns the number of announcements: the sum over ranks of one begins while the next one is computed.
inline std::int64_t expect_announced_and_final(Fixture& f, const std::string& what) {
  const Doubles whole = f.gradient();
  std::int64_t last = f.model->parameters().extent(), calls = 0;
  Buffer<float> g(last, "gradient");
  device_zero(g.data(), g.bytes());
  f.model->forward_backward(f.batch, g.data(), f.scores, [&](std::int64_t first) {
    EXPECT_LT(first, last) << what;
    fence();
    const Doubles now = to_doubles(g);
    EXPECT_TRUE(std::equal(now.begin() + first, now.begin() + last, whole.begin() + first)) << what << " " << first;
    last = first;
    ++calls;
  });
  EXPECT_EQ(last, 0) << what;
  return calls;
}

/// The gradient is that of the loss along a direction in every tensor. h: see directional.hpp.
inline void expect_gradient_of_the_loss(Fixture& f, double h, const std::string& what) {
  const Doubles gradient = f.gradient();
  for (const Parameter& p : f.model->parameters().all()) {
    EXPECT_AT_MOST(directional_error(p, gradient, f.values, h,
                                     [&](const std::vector<float>& weights) {
                                       f.use(weights);
                                       return f.loss();
                                     }),
                   2e-2)
        << what << " " << p.name;
    f.use(f.values);
  }
}

/// Without what a batch norm measures, which lies beside the gradients.
inline Doubles trained(const Fixture& f, Doubles gradient) {
  for (const Parameter& p : f.model->parameters().all())
    if (!p.trained())
      std::fill_n(gradient.begin() + p.offset, p.size, 0.0);
  return gradient;
}

/// Gradients with weights and activations in bf16 and fp16 are those of fp32 but for rounding: 4 % and 0.4 %, times
/// `allowance`. The median of so many samples: where rounding takes a hidden unit to the other side of its ReLU, the
/// unit's whole gradient comes or goes, and one sample in five is off by ten times the rounding.
inline void expect_low_precision_close(Config config, const std::string& what, unsigned samples = 1,
                                       double allowance = 1) {
  for (const char* precision : {"bf16", "fp16"}) {
    std::vector<double> errors;
    for (unsigned sample = 0; sample < samples; ++sample) {
      config.run.precision = "fp32";
      Fixture single(config, sample);
      config.run.precision = precision;
      Fixture low(config, sample);
      errors.push_back(relative_error(trained(low, low.gradient()), trained(single, single.gradient())));
      EXPECT_FALSE(std::isnan(errors.back())) << what << " " << precision;
    }
    std::sort(errors.begin(), errors.end());
    EXPECT_AT_MOST(errors[samples / 2], allowance * (precision == std::string("bf16") ? 4e-2 : 4e-3))
        << what << " " << precision;
  }
}

/// Other numbers in the padding move no bit of the logits and of the gradient; the first and the last real token do.
inline void expect_padding_moves_nothing(Fixture& f, const std::string& what) {
  const std::vector<float> logits = f.logits();
  const Doubles gradient = f.gradient();
  f.lay_out(f.config.model.context, 7);
  EXPECT_EQ(f.logits(), logits) << what;
  EXPECT_EQ(f.gradient(), gradient) << what;
  for (const std::int64_t end : {std::int64_t{0}, f.lengths[0] - 1}) {
    f.full[static_cast<std::size_t>(end)] ^= 1;
    f.lay_out(f.config.model.context);
    EXPECT_NE(f.logits(), logits) << what << ": real token " << end << " moves nothing: the test would see nothing";
    f.full[static_cast<std::size_t>(end)] ^= 1;
  }
  f.lay_out(f.config.model.context);
}

/// The loss that a training step has, with its masks of dropout: that of its gradient, where forward() has none.
inline double loss_of_step(Fixture& f) {
  f.gradient();
  double sum = 0;
  for (const float l : f.scores.losses)
    sum += static_cast<double>(l);
  return sum * static_cast<double>(f.batch.loss_factor);
}

/// The gradient of a step with dropout is not that of one without, and it is that of the loss of the same step by the
/// parameters of these names: scores are those of the masked pass. h: see directional.hpp.
inline void expect_dropout_is_replayed(Fixture& f, const Doubles& without, std::initializer_list<const char*> names,
                                       double h) {
  const Doubles gradient = f.gradient();
  EXPECT_GT(relative_error(gradient, without), 1e-2);
  std::size_t found = 0;
  for (const Parameter& p : f.model->parameters().all())
    if (std::find(names.begin(), names.end(), p.name) != names.end()) {
      EXPECT_AT_MOST(directional_error(p, gradient, f.values, h,
                                       [&](const std::vector<float>& weights) {
                                         f.use(weights);
                                         return loss_of_step(f);
                                       }),
                     2e-2)
          << p.name;
      f.use(f.values);
      ++found;
    }
  EXPECT_EQ(found, names.size());
}

} // namespace weft::testing
