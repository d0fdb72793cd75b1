// A small model of the next token with weights and a loss.
#pragma once
#include "kernels/common/memory.hpp"
#include "model/model.hpp"
#include "tests/model/directional.hpp"
#include <gtest/gtest.h>

namespace weft::testing {

inline Config language_config(std::int64_t layers, std::int64_t width, std::int64_t heads, std::int64_t context,
                              const std::string& pattern) {
  Config c;
  c.model.layers = layers;
  c.model.width = width;
  c.model.heads = heads;
  c.model.context = context;
  c.attention.pattern = pattern;
  return c;
}

/// A model with memory, random tokens, and weights that are not the initial ones (the output matrix starts at zero).
struct LanguageFixture {
  explicit LanguageFixture(const Config& config)
      : config(config), model(make_model(config)), flat(parameters(), "weights") {
    model->allocate();
    values.resize(static_cast<std::size_t>(parameters()));
    initialise(values.data(), model->parameters(), 1);
    const Doubles noise = random_doubles(parameters(), 5, 0.05);
    for (std::size_t i = 0; i < values.size(); ++i)
      values[i] += static_cast<float>(noise[i]);
    use(values);
    std::mt19937 generator(2);
    for (std::int64_t i = 0; i < config.training.micro_batch * config.model.context; ++i)
      tokens.push_back(static_cast<std::uint16_t>(generator() % static_cast<unsigned>(config.model.vocabulary)));
    batch.tokens = batch.targets = tokens.data();
    batch.length = config.model.context;
    batch.loss_factor = 1.0f / static_cast<float>(tokens.size());
    batch.seed = 3;
  }
  std::int64_t parameters() const { return model->parameters().extent(); }
  void use(const std::vector<float>& weights) {
    copy_to_device(flat.data(), weights.data(), flat.bytes());
    model->use_weights(flat.data());
  }
  Doubles logits() {
    model->forward(batch, scores);
    std::vector<float> host(tokens.size() * static_cast<std::size_t>(config.model.vocabulary));
    model->copy_logits(host.data());
    return Doubles(host.begin(), host.end());
  }
  Doubles gradient() {
    Buffer<float> g(parameters(), "gradient");
    device_zero(g.data(), g.bytes());
    model->forward_backward(batch, g.data(), scores, {});
    fence();
    return to_doubles(g);
  }
  /// What directional_error says of the gradient by p.
  double error_along(const Parameter& p, const Doubles& gradient, double step) {
    const double error = directional_error(p, gradient, values, step, [&](const std::vector<float>& weights) {
      use(weights);
      return loss();
    });
    use(values);
    return error;
  }
  /// What is announced as final is the gradient's end, longer every time, up to all of it.
  void expect_gradients_from_the_end() {
    const Doubles whole = gradient();
    Buffer<float> g(parameters(), "gradient");
    device_zero(g.data(), g.bytes());
    std::int64_t last = parameters();
    model->forward_backward(batch, g.data(), scores, [&](std::int64_t first) {
      EXPECT_LT(first, last);
      last = first;
      const Doubles now = to_doubles(g);
      for (std::size_t i = static_cast<std::size_t>(first); i < now.size(); ++i)
        ASSERT_EQ(now[i], whole[i]) << i;
    });
    EXPECT_EQ(last, 0);
  }
  double loss() {
    model->forward(batch, scores);
    double sum = 0;
    for (float l : scores.losses)
      sum += static_cast<double>(l);
    return sum * static_cast<double>(batch.loss_factor);
  }

  Config config;
  std::unique_ptr<Model> model;
  Buffer<float> flat;
  std::vector<float> values;
  std::vector<std::uint16_t> tokens;
  Batch batch;
  Scores scores;
};

} // namespace weft::testing
