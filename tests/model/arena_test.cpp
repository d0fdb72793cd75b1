// The arena's encoder as a whole: counts, gradients, padding, length of a micro-batch, recomputation, reach.
#include "io/error.hpp"
#include "model/families/arena.hpp"
#include "model/key_bits.hpp"
#include "tests/model/directional.hpp"
#include <gtest/gtest.h>

using namespace weft;
using namespace weft::testing;

namespace {

Config small(const std::string& pooling = "cls", const std::string& task = "classify") {
  Config c;
  c.data.task = task;
  c.model.family = "arena";
  c.model.layers = 2;
  c.model.width = 24;
  c.model.heads = 2;
  c.model.context = 70;
  c.model.vocabulary = 40;
  c.model.feedforward = 40;
  c.model.positions = "learned";
  c.model.pooling = pooling;
  c.model.classes = 5;
  c.attention.pattern = "dense";
  c.attention.width = 16;
  c.attention.stride = 16;
  c.training.micro_batch = 3;
  return c;
}

/// A model with memory, padded random rows, and weights that are not the initial ones.
struct Fixture {
  explicit Fixture(const Config& config, unsigned sample = 0)
      : config(config), model(make_model(config)), flat(model->parameters().extent(), "weights") {
    model->allocate();
    values.resize(static_cast<std::size_t>(model->parameters().extent()));
    initialise(values.data(), model->parameters(), 1 + sample);
    const Doubles noise = random_doubles(model->parameters().extent(), 5 + sample, 0.05);
    for (std::size_t i = 0; i < values.size(); ++i)
      values[i] += static_cast<float>(noise[i]);
    use(values);
    std::mt19937 random(2 + sample);
    sequences = config.training.micro_batch * (config.data.task == "pairs" ? 2 : 1);
    for (std::int64_t s = 0; s < sequences; ++s)
      lengths.push_back(std::max<std::int64_t>(1, config.model.context - 9 - 17 * s));
    for (std::int64_t b = 0; b < config.training.micro_batch; ++b)
      targets.push_back(static_cast<std::uint16_t>(random() % static_cast<unsigned>(config.model.classes)));
    full.resize(static_cast<std::size_t>(sequences * config.model.context));
    for (std::uint16_t& token : full)
      token = static_cast<std::uint16_t>(1 + random() % static_cast<unsigned>(config.model.vocabulary - 1));
    lay_out(config.model.context);
    batch.targets = targets.data();
    batch.loss_factor = 1.0f / static_cast<float>(targets.size());
    batch.seed = 3;
  }
  /// The same rows in a micro-batch of this length; what is behind a row's true length is padding.
  void lay_out(std::int64_t length, std::uint16_t padding = 0) {
    const std::int64_t words = bit_words(length);
    tokens.assign(static_cast<std::size_t>(sequences * length), padding);
    seen.assign(static_cast<std::size_t>(sequences * words), 0);
    for (std::int64_t s = 0; s < sequences; ++s)
      for (std::int64_t i = 0; i < lengths[static_cast<std::size_t>(s)]; ++i) {
        tokens[static_cast<std::size_t>(s * length + i)] = full[static_cast<std::size_t>(s * config.model.context + i)];
        seen[static_cast<std::size_t>(s * words + i / 32)] |= 1u << (i % 32);
      }
    batch.tokens = tokens.data();
    batch.seen = seen.data();
    batch.length = length;
  }
  void use(const std::vector<float>& weights) {
    copy_to_device(flat.data(), weights.data(), flat.bytes());
    model->use_weights(flat.data());
  }
  std::vector<float> logits() {
    model->forward(batch, scores);
    std::vector<float> host(targets.size() * static_cast<std::size_t>(config.model.classes));
    model->copy_logits(host.data());
    return host;
  }
  double loss() {
    model->forward(batch, scores);
    double sum = 0;
    for (const float l : scores.losses)
      sum += static_cast<double>(l);
    return sum * static_cast<double>(batch.loss_factor);
  }
  Doubles gradient(const GradientsReady& ready = {}) {
    Buffer<float> g(model->parameters().extent(), "gradient");
    device_zero(g.data(), g.bytes());
    model->forward_backward(batch, g.data(), scores, ready);
    fence();
    return to_doubles(g);
  }

  /// Small steps: ReLU has kinks. What is far from the loss needs longer ones, to stand out of fp32.
  double directional_error(const Parameter& p, const Doubles& gradient,
                           const std::function<bool(std::int64_t)>& takes = {}) {
    const double error = weft::testing::directional_error(
        p, gradient, values, p.name.find("sort.in.bias") != std::string::npos ? 2e-2 : 1e-3,
        [&](const std::vector<float>& weights) {
          use(weights);
          return loss();
        },
        takes);
    use(values);
    return error;
  }

  Config config;
  std::unique_ptr<Model> model;
  Buffer<float> flat;
  std::vector<float> values;
  std::int64_t sequences = 0;
  std::vector<std::int64_t> lengths;
  std::vector<std::uint16_t> full, tokens, targets;
  std::vector<std::uint32_t> seen;
  Batch batch;
  Scores scores;
};

struct Case {
  const char *task, *pooling, *positions, *pattern, *features, *form = "paper";
};
const Case cases[] = {{"classify", "cls", "learned", "dense", "two"},
                      {"classify", "mean", "sinusoid", "dense", "two"},
                      {"classify", "mean_all", "none", "local", "two"},
                      {"classify", "attention", "learned", "local", "two"},
                      {"pairs", "cls", "sinusoid", "dense", "two"},
                      {"pairs", "mean", "learned", "local", "four"},
                      {"classify", "cls", "learned", "local", "two", "lra"},
                      {"classify", "mean", "sinusoid", "local", "two", "lra"},
                      {"classify", "mean", "learned", "sinkhorn", "two"},
                      {"classify", "cls", "sinusoid", "sinkhorn", "two"},
                      {"pairs", "mean_all", "sinusoid", "sinkhorn", "two"},
                      {"classify", "mean_all", "learned", "sinkhorn", "two", "lra"},
                      {"pairs", "cls", "sinusoid", "sinkhorn", "two", "lra"}};
bool released_sets(const Case& c) { return c.form == std::string("lra"); }
std::ostream& operator<<(std::ostream& out, const Case& c) {
  return out << c.task << " " << c.pooling << " " << c.pattern << " " << c.form;
}

Config config_of(const Case& c) {
  Config config = small(c.pooling, c.task);
  config.model.positions = c.positions;
  config.attention.pattern = c.pattern;
  config.model.pair_features = c.features;
  config.attention.form = c.form;
  if (c.pattern == std::string("sinkhorn")) {
    config.attention.noise = false;   // the loss of an evaluation has none
    config.attention.temperature = 4; // no permutation, whose gradient is nothing
    config.model.context = released_sets(c) ? 64 : 70;
  }
  return config;
}

TEST(Arena, ParameterCountsAreThoseOfTheReleasedSettings) {
  struct Setting {
    const char *task, *positions, *pooling;
    std::int64_t layers, width, heads, attention, hidden, context, vocabulary, classes, count;
  };
  const Setting settings[] = {
      {"classify", "learned", "cls", 1, 128, 8, 64, 128, 1024, 256, 10, 248458},
      {"classify", "sinusoid", "cls", 4, 256, 4, 256, 1024, 1000, 257, 2, 3486722},
      {"classify", "sinusoid", "mean", 4, 32, 4, 16, 32, 1024, 256, 2, 26530},
  };
  for (const Setting& s : settings) {
    Config c;
    c.data.task = s.task;
    c.model.family = "arena";
    c.model.positions = s.positions;
    c.model.pooling = s.pooling;
    c.model.layers = s.layers;
    c.model.width = s.width;
    c.model.heads = s.heads;
    c.attention.width = s.attention;
    c.attention.pattern = "dense";
    c.model.feedforward = s.hidden;
    c.model.context = s.context;
    c.model.vocabulary = s.vocabulary;
    c.model.classes = s.classes;
    c.training.micro_batch = 1;
    EXPECT_EQ(make_model(c)->parameters().count(), s.count) << s.positions << " " << s.width;
  }
}

TEST(Arena, GradientIsThatOfTheLossAlongRandomDirections) {
  for (const Case& c : cases) {
    Fixture f(config_of(c));
    const Doubles gradient = f.gradient();
    for (const Parameter& p : f.model->parameters().all())
      if (released_sets(c) && p.name.find("sort") != std::string::npos) // nothing reads it
        EXPECT_TRUE(std::all_of(gradient.begin() + p.offset, gradient.begin() + p.offset + p.size,
                                [](double x) { return x == 0; }));
      else
        EXPECT_AT_MOST(f.directional_error(p, gradient), p.name.find("sort.in.bias") != std::string::npos ? 5e-2 : 2e-2)
            << c << " " << p.name;
  }
}

TEST(Arena, PaddingMovesNoBit) {
  for (const Case& c : cases) {
    if (c.pooling == std::string("mean_all") || released_sets(c)) // every row counts there, padded ones too
      continue;
    Fixture f(config_of(c));
    const std::vector<float> before = f.logits();
    f.lay_out(f.config.model.context, 7);
    EXPECT_EQ(f.logits(), before) << c.task << " " << c.pooling;
    f.full[0] ^= 1;
    f.lay_out(f.config.model.context);
    EXPECT_NE(f.logits(), before) << "a real token does not move the logits: the test would see nothing";
  }
}

TEST(Arena, AShorterMicroBatchGivesTheSameLogits) {
  for (const Case& c : cases) {
    Config config = config_of(c);
    config.model.dropout = 0.2;
    config.attention.dropout = 0.1;
    Fixture f(config);
    EXPECT_EQ(f.model->variable_length(), c.pooling != std::string("mean_all") && !released_sets(c));
    if (!f.model->variable_length())
      continue;
    const std::vector<float> whole = f.logits();
    const Doubles gradient = f.gradient();
    f.lay_out(64);
    const std::vector<float> shorter = f.logits();
    for (std::size_t i = 0; i < whole.size(); ++i)
      EXPECT_NEAR(whole[i], shorter[i], 2e-6) << c.task << " " << c.pooling;
    EXPECT_AT_MOST(relative_error(f.gradient(), gradient), 2e-5) << "dropout drew other numbers";
  }
}

TEST(Arena, RecomputationChangesNoBit) {
  for (const Case& c : cases) {
    Config config = config_of(c);
    config.model.dropout = 0.3;
    config.attention.dropout = 0.2;
    config.attention.noise = true;
    Fixture none(config);
    const Doubles gradient = none.gradient();
    for (const char* again : {"attention", "block"}) {
      config.model.recompute = again;
      Fixture f(config);
      EXPECT_EQ(f.gradient(), gradient) << c << " " << again;
      EXPECT_LT(f.model->costs().activation_bytes, none.model->costs().activation_bytes);
    }
  }
}

TEST(Arena, GradientsAreAnnouncedFromTheEndAndFinal) {
  for (const Case& c : cases) {
    Fixture f(config_of(c));
    const Doubles whole = f.gradient();
    std::int64_t last = f.model->parameters().extent();
    f.gradient([&](std::int64_t first) {
      EXPECT_LT(first, last);
      last = first;
    });
    EXPECT_EQ(last, 0);
  }
}

/// The median of several samples: where rounding takes a hidden unit of the classifier to the other side of its ReLU,
/// the unit's whole gradient comes or goes, and one sample in five is off by ten times the rounding.
TEST(Arena, LowPrecisionStaysClose) {
  for (const Case& c : cases) {
    Config config = config_of(c);
    for (const char* precision : {"bf16", "fp16"}) {
      std::vector<double> errors;
      for (unsigned sample = 0; sample < 9; ++sample) {
        config.run.precision = "fp32";
        Fixture single(config, sample);
        config.run.precision = precision;
        Fixture low(config, sample);
        errors.push_back(relative_error(low.gradient(), single.gradient()));
        EXPECT_FALSE(std::isnan(errors.back())) << c << " " << precision;
      }
      std::sort(errors.begin(), errors.end());
      EXPECT_AT_MOST(errors[4], precision == std::string("bf16") ? 4e-2 : 4e-3) << c << " " << precision;
    }
  }
}

TEST(Arena, TheReleasedFormTakesTheFirstTokensBitForItsClsVector) {
  // A black first pixel hides the CLS vector as a key and makes its weights uniform: the logits change, and depend on
  // tokens behind the end of the row.
  Config config = small();
  Fixture paper(config);
  config.attention.form = "lra";
  Fixture lra(config);
  EXPECT_EQ(paper.logits(), lra.logits()); // the first token is real
  for (Fixture* f : {&paper, &lra})
    f->seen[0] &= ~1u;
  const std::vector<float> hidden = paper.logits(), uniform = lra.logits();
  EXPECT_NE(hidden, uniform);
  for (Fixture* f : {&paper, &lra}) {
    f->lay_out(f->config.model.context, 7);
    f->seen[0] &= ~1u;
  }
  EXPECT_EQ(paper.logits(), hidden);
  EXPECT_NE(lra.logits(), uniform);
}

TEST(Arena, ThePaddedRowsOfTheReleasedFormReachItsMeanOverAllRows) {
  // Padded queries see every position alike, padded ones too: that form lets a padded token move the logits.
  for (const char* form : {"paper", "lra"}) {
    Config config = small("mean_all");
    config.attention.form = form;
    config.model.positions = "none";
    Fixture f(config);
    const Doubles gradient = f.gradient();
    const Parameter& p = f.model->parameters().all()[3]; // qkv weight of the first layer, v columns
    ASSERT_EQ(p.name, "block.00.attention.qkv.weight");
    EXPECT_AT_MOST(f.directional_error(p, gradient, [](std::int64_t i) { return i % 48 >= 32; }), 2e-2) << form;
    // The value of a padded key reaches real queries in neither form; uniform rows read it in the released one.
    Config cls = small("mean");
    cls.attention.form = form;
    Fixture valid(cls);
    const std::vector<float> before = valid.logits();
    valid.lay_out(valid.config.model.context, 7);
    EXPECT_EQ(valid.logits(), before) << form;
  }
  Config config = small("mean_all");
  Fixture paper(config);
  config.attention.form = "lra";
  Fixture lra(config);
  EXPECT_NE(paper.logits(), lra.logits());
}

TEST(Arena, RefusesAReleasedFormThatItDoesNotHave) {
  Config config = small();
  config.attention.form = "lra";
  config.attention.pattern = "block_bidirectional";
  EXPECT_THROW(make_model(config), InputError);
}

} // namespace
