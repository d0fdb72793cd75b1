// The whole model: counts, causality, gradients, recomputation, precision.
#include "io/error.hpp"
#include "model/families/sparse_transformer.hpp"
#include "model/sampling/decoder.hpp"
#include "tests/model/language_fixture.hpp"
#include <gtest/gtest.h>
#include <numbers>

using namespace weft;
using namespace weft::testing;
using Fixture = LanguageFixture;

namespace {

Config small(const std::string& pattern = "fixed") {
  Config c = language_config(3, 32, 2, 70, pattern);
  c.attention.stride = 16;
  c.attention.summary = 4;
  c.attention.buckets = {1}; // lsh: what is seen must not jump
  c.attention.chunk = 16;
  if (pattern == "longformer") {
    c.attention.window = 10;
    c.attention.dilation = 3;
  }
  c.training.micro_batch = 2;
  return c;
}

std::int64_t parameter_count(const std::function<void(Config&)>& change) {
  Config c;
  change(c);
  return make_model(c)->parameters().count();
}

TEST(ParameterCounts, AreThoseOfThePaper) {
  EXPECT_EQ(parameter_count([](Config& c) {
              c.model.layers = 30;
              c.model.width = 512;
              c.model.context = 12288;
              c.attention.stride = 128;
              c.attention.pattern = "local"; // patterns have no parameters; this one is quick to build
            }),
            94949888);
  EXPECT_EQ(parameter_count([](Config& c) {
              c.model.layers = 128;
              c.model.width = 256;
              c.model.heads = 2;
              c.model.half_size = true;
              c.model.context = 3072;
              c.model.position_shape = {32, 32, 3};
              c.attention.pattern = "local";
              c.attention.stride = 96;
            }),
            59196928);
  EXPECT_EQ(parameter_count([](Config& c) {
              c.model.layers = 48;
              c.model.width = 512;
              c.model.heads = 16;
              c.model.context = 12288;
              c.model.position_shape = {64, 64, 3};
              c.attention.pattern = "local";
            }),
            151645184);
}

TEST(Model, FirstLossIsThatOfUniformGuesses) {
  Fixture f(small());
  initialise(f.values.data(), f.model->parameters(), 1);
  f.use(f.values);
  f.model->forward(f.batch, f.scores);
  for (float loss : f.scores.losses)
    ASSERT_NEAR(loss, std::log(256.0), 1e-6);
}

struct Case {
  std::string pattern;
  std::vector<std::string> combination;
  const char* kernel = "softmax";
};
const Case cases[] = {
    {"dense", {"merged"}},        {"local", {"merged"}},     {"fixed", {"merged"}},
    {"fixed", {"interleaved"}},   {"fixed", {"heads"}},      {"strided", {"merged"}},
    {"strided", {"interleaved"}}, {"strided", {"heads"}},    {"strided", {"strided", "local", "local"}},
    {"lsh", {"merged"}},          {"sparse", {"merged"}},    {"longformer", {"merged"}},
    {"linear", {"merged"}},       {"performer", {"merged"}}, {"performer", {"merged"}, "relu"}};

/// The cases, and the Synthesizer with all its kinds of scores.
std::vector<Config> all_configs() {
  std::vector<Config> all;
  for (const Case& c : cases) {
    all.push_back(small(c.pattern));
    all.back().attention.combination = c.combination;
    all.back().attention.kernel = c.kernel;
  }
  for (const char* mode : {"random", "factorised_random", "dense", "factorised_dense"})
    for (const auto& [dot_product, mixture] :
         {std::pair(false, false), std::pair(true, false), std::pair(true, true)}) {
      if (mixture && std::string(mode) == "factorised_dense")
        continue;
      all.push_back(small("synthesizer"));
      all.back().attention.mode = mode;
      all.back().attention.dot_product = dot_product;
      all.back().attention.mixture = mixture;
    }
  return all;
}

TEST(Model, NeverLeaksTheFuture) {
  for (const Config& config : all_configs()) {
    Fixture f(config);
    const Doubles before = f.logits();
    const std::int64_t N = config.model.context, V = 256;
    for (std::int64_t j : {0, 1, 3, 4, 12, 15, 16, 17, 30, 31, 32, 33, 47, 48, 63, 64, 65, 68, 69}) {
      f.tokens[static_cast<std::size_t>(j)] ^= 1;
      const Doubles after = f.logits();
      f.tokens[static_cast<std::size_t>(j)] ^= 1;
      // Slot i predicts token i: it must not see token i or anything behind it.
      for (std::int64_t k = 0; k < (j + 1) * V; ++k)
        ASSERT_EQ(before[static_cast<std::size_t>(k)], after[static_cast<std::size_t>(k)])
            << config.attention.pattern << " " << config.attention.combination[0] << " " << config.attention.mode
            << ": token " << j << " moves slot " << k / V;
      bool moved = j == N - 1;
      for (std::int64_t k = (j + 1) * V; k < (j + 2) * V && !moved; ++k)
        moved = before[static_cast<std::size_t>(k)] != after[static_cast<std::size_t>(k)];
      EXPECT_TRUE(moved) << "token " << j << " does not reach the slot after it: the test would see nothing";
    }
  }
}

TEST(Model, TheSynthesizerCannotBeSampledFrom) {
  Fixture f(small("synthesizer"));
  EXPECT_THROW(f.model->decoder(f.values.data(), 1, 8), InputError);
}

TEST(Model, GradientIsThatOfTheLossAlongRandomDirections) {
  // fp32: the directional derivative by central differences along the gradient's own sign pattern with random weights.
  for (const Config& config : all_configs()) {
    if (config.attention.pattern == "synthesizer" && !config.attention.dot_product)
      continue; // nothing that the others do not have
    const bool features = config.attention.pattern == "linear" || config.attention.pattern == "performer";
    const bool kinks = config.attention.mode.find("dense") != std::string::npos;
    const double step = features ? 5e-4 : kinks ? 1e-2 : 2e-2;
    Fixture f(config);
    const Doubles gradient = f.gradient();
    for (const Parameter& p : f.model->parameters().all()) {
      const bool smooth = p.name.find("mixture") != std::string::npos; // one number
      const bool kinks_alone =
          config.attention.mode == "factorised_dense" && p.name.find("hidden") != std::string::npos;
      const double h = smooth ? 1e-1 : kinks_alone ? 4e-3 : step;
      EXPECT_AT_MOST(f.error_along(p, gradient, h), features || kinks_alone ? 3e-2 : 1e-2)
          << config.attention.pattern << " " << config.attention.mode << " " << p.name;
    }
  }
}

TEST(Model, RecomputationChangesNoBit) {
  for (const char* pattern : {"fixed", "strided", "linear", "performer"}) {
    Config config = small(pattern);
    config.model.dropout = 0.3;
    Fixture none(config);
    config.model.recompute = "attention";
    Fixture attention(config);
    config.model.recompute = "block";
    Fixture block(config);
    const Doubles gradient = none.gradient();
    EXPECT_EQ(gradient, attention.gradient());
    EXPECT_EQ(gradient, block.gradient());
    EXPECT_EQ(none.scores.losses, block.scores.losses);
    EXPECT_LT(attention.model->costs().activation_bytes, none.model->costs().activation_bytes);
    EXPECT_LT(block.model->costs().activation_bytes, attention.model->costs().activation_bytes);
  }
}

TEST(Model, GradientsAreAnnouncedFromTheEndAndFinal) { Fixture(small()).expect_gradients_from_the_end(); }

/// A strided model in this precision.
Config small_in(const std::string& precision) {
  Config c = small("strided");
  c.run.precision = precision;
  return c;
}

TEST(Model, Bfloat16StaysCloseToSinglePrecision) {
  Fixture single(small_in("fp32")), low(small_in("bf16"));
  EXPECT_AT_MOST(relative_error(low.logits(), single.logits()), 3e-2);
  EXPECT_AT_MOST(relative_error(low.gradient(), single.gradient()), 5e-2);
  EXPECT_AT_MOST(std::abs(low.loss() - single.loss()), 2e-2);
}

TEST(Model, Float16StaysCloseToSinglePrecisionAndAPowerOfTwoOnTheLossIsOnTheGradientsAlone) {
  Fixture single(small_in("fp32")), low(small_in("fp16"));
  EXPECT_AT_MOST(relative_error(low.logits(), single.logits()), 4e-3);
  EXPECT_AT_MOST(std::abs(low.loss() - single.loss()), 3e-3);
  // As in a batch 4,096 times as large: most gradients of logits lie below the smallest fp16 number with all its
  // digits.
  const float large_batch = 1.0f / 4096;
  single.batch.loss_factor *= large_batch;
  low.batch.loss_factor *= large_batch;
  const Doubles exact = single.gradient(), unscaled = low.gradient();
  low.batch.loss_factor *= 65536;
  Doubles scaled = low.gradient();
  for (double& g : scaled)
    g /= 65536;
  EXPECT_AT_MOST(relative_error(scaled, exact), 6e-3);
  EXPECT_LT(10 * relative_error(scaled, exact), relative_error(unscaled, exact));
  low.batch.loss_factor /= large_batch;
  low.batch.loss_factor *= 65536;
  EXPECT_TRUE(std::isnan(dot(low.gradient(), exact)) || std::isinf(dot(low.gradient(), exact)));
  low.model->forward(low.batch, low.scores);
  for (const float loss : low.scores.losses)
    ASSERT_TRUE(std::isfinite(loss)); // the loss itself has no scale
}

TEST(Model, NamesTheFirstTensorThatWentBad) {
  Fixture f(small());
  std::vector<float> weights = f.values;
  for (const Parameter& p : f.model->parameters().all())
    if (p.name == "block.01.feedforward.in.weight")
      weights[static_cast<std::size_t>(p.offset)] = NAN;
  f.use(weights);
  f.gradient();
  EXPECT_EQ(f.model->first_nonfinite_activation(), "block.01.hidden");
  f.use(f.values);
  f.gradient();
  EXPECT_EQ(f.model->first_nonfinite_activation(), "");
}

TEST(Model, ATiedEmbeddingIsTheOutputMatrixToo) {
  Config config = small();
  const std::int64_t untied = make_model(config)->parameters().count();
  config.model.tied_embedding = true;
  Fixture f(config);
  EXPECT_EQ(f.model->parameters().count(), untied - 256 * config.model.width);
  const Doubles gradient = f.gradient();
  const Parameter& token = f.model->parameters().all().front();
  ASSERT_EQ(token.name, "embedding.token");
  const auto loss_of = [&](const std::vector<float>& weights) {
    f.use(weights);
    return f.loss();
  };
  EXPECT_AT_MOST(directional_error(token, gradient, f.values, 2e-2, loss_of), 1e-2);
  f.use(f.values);
  for (const char* precision : {"bf16", "fp16"}) {
    config.run.precision = precision;
    Fixture low(config);
    EXPECT_AT_MOST(relative_error(low.gradient(), gradient), 8e-2) << precision;
  }
}

} // namespace
