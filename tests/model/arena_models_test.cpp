// What each of the arena's models does on its own: what it equals at the ends, what it draws, what padding is to it.
#include "tests/model/arena_fixture.hpp"

using namespace weft;
using namespace weft::testing;

namespace {

Config hashed(const std::string& form = "paper") {
  Config config = small(form == "lra" ? "cls" : "mean");
  config.attention.pattern = "lsh";
  config.attention.form = form;
  config.attention.rounds = 3;
  config.attention.chunk = 8;
  return config;
}

TEST(ArenaModels, LshGradientIsThatOfTheLoss) {
  for (const char* score : {"trax", "raw", "unit"}) {
    Config config = hashed();
    config.model.layers = 1;
    config.attention.buckets = {1}; // what is seen must not jump
    config.attention.score = score;
    if (score == std::string("unit")) {
      config.attention.join = "mean";
      config.attention.duplicates = true;
      config.attention.self = "seen";
    }
    Fixture f(config);
    const Doubles gradient = f.gradient();
    for (const Parameter& p : f.model->parameters().all())
      EXPECT_AT_MOST(f.directional_error(p, gradient), 3e-2) << score << " " << p.name;
  }
}

TEST(ArenaModels, LshSortsPaddingBehindAllThatIsReal) {
  Config config = hashed();
  config.attention.dropout = 0.1;
  Fixture f(config);
  const std::vector<float> before = f.logits();
  const Doubles gradient = f.gradient();
  f.lay_out(config.model.context, 7);
  EXPECT_EQ(f.logits(), before);
  f.lay_out(64);
  const std::vector<float> shorter = f.logits();
  for (std::size_t i = 0; i < before.size(); ++i)
    EXPECT_NEAR(before[i], shorter[i], 2e-6);
  EXPECT_AT_MOST(relative_error(f.gradient(), gradient), 2e-5);
}

TEST(ArenaModels, LshRecomputationChangesNoBit) {
  for (const char* form : {"paper", "lra"}) {
    Config config = hashed(form);
    config.model.dropout = 0.3;
    config.attention.dropout = 0.2;
    Fixture none(config);
    const Doubles gradient = none.gradient();
    for (const char* again : {"attention", "block"}) {
      config.model.recompute = again;
      Fixture f(config);
      EXPECT_EQ(f.gradient(), gradient) << form << " " << again;
      EXPECT_LT(f.model->costs().activation_bytes, none.model->costs().activation_bytes);
    }
  }
}

TEST(ArenaModels, LshDrawsAnewForEveryStepButNotForEvaluations) {
  for (const bool fixed : {false, true}) {
    Config config = hashed();
    config.attention.fixed_hashes = fixed;
    Fixture f(config);
    const std::vector<float> evaluated = f.logits();
    const Doubles first = f.gradient();
    EXPECT_EQ(f.gradient(), first);
    f.batch.step = 1;
    EXPECT_EQ(f.gradient() == first, fixed);
    EXPECT_EQ(f.logits(), evaluated) << "an evaluation depends on the step";
    config.run.seed = 1;
    Fixture other(config);
    EXPECT_NE(other.logits(), evaluated) << "the projections do not depend on the seed";
  }
}

TEST(ArenaModels, LshWithOneBucketAndOneChunkIsDenseAttentionWithSharedQueriesAndKeys) {
  Config config = hashed();
  config.attention.buckets = {1};
  config.attention.chunk = config.model.context;
  Fixture lsh(config);
  config.attention.pattern = "dense";
  config.attention.shared_qk = true;
  Fixture dense(config);
  const std::vector<float> a = lsh.logits(), b = dense.logits();
  for (std::size_t i = 0; i < a.size(); ++i)
    EXPECT_NEAR(a[i], b[i], 2e-6);
  EXPECT_AT_MOST(relative_error(lsh.gradient(), dense.gradient()), 2e-5);
  config.attention.shared_qk = false;
  EXPECT_GT(Fixture(config).values.size(), dense.values.size());
}

TEST(ArenaModels, TheReleasedReformerReadsPaddingAndHasNoMapBehind) {
  const Config config = hashed("lra");
  Fixture f(config);
  EXPECT_FALSE(f.model->variable_length());
  for (const Parameter& p : f.model->parameters().all()) {
    EXPECT_EQ(p.name.find("attention.out"), std::string::npos) << p.name;
    if (p.name == "block.00.attention.qv.weight") { // attention.width = 16 does not count
      EXPECT_EQ(p.shape, (std::vector<std::int64_t>{24, 48}));
    }
  }
  const Doubles gradient = f.gradient();
  for (const Parameter& p :
       f.model->parameters().all()) // hashes are real here: a step may move a query to a new bucket
    EXPECT_AT_MOST(f.directional_error(p, gradient), p.name.rfind("embedding", 0) == 0 ? 0.1 : 2e-2) << p.name;
  const std::vector<float> before = f.logits();
  f.batch.step = 5;
  EXPECT_EQ(f.gradient(), gradient) << "its hashes are fixed";
  f.lay_out(config.model.context, 7);
  EXPECT_NE(f.logits(), before);
}

TEST(ArenaModels, ReleasedFormsThatMaskNothingReadThePadding) {
  for (void (*form)(Config&) : {released_linformer, released_dense_scores}) {
    Config config = small("mean");
    config.attention.pattern = form == released_linformer ? "linformer" : "synthesizer";
    form(config);
    config.attention.dot_product = false;
    Fixture f(config);
    EXPECT_FALSE(f.model->variable_length());
    const std::vector<float> before = f.logits();
    f.lay_out(f.config.model.context, 7);
    EXPECT_NE(f.logits(), before);
  }
}

TEST(ArenaModels, MechanismsWithoutTheDotProductHaveNoQueriesAndKeys) {
  const auto shape_of = [](const Config& config, const std::string& name) {
    const auto model = make_model(config);
    for (const Parameter& p : model->parameters().all())
      if (p.name == "block.00.attention." + name)
        return p.shape;
    return std::vector<std::int64_t>{};
  };
  using Shape = std::vector<std::int64_t>;
  Config config = small();
  config.attention.pattern = "synthesizer";
  EXPECT_EQ(shape_of(config, "qkv.weight"), (Shape{24, 16}));
  EXPECT_EQ(shape_of(config, "random.weight"), (Shape{2, 71, 71})); // the CLS vector has a row and a column, too
  config.attention.dot_product = true;
  EXPECT_EQ(shape_of(config, "qkv.weight"), (Shape{24, 48}));
  config.attention.mode = "dense";
  EXPECT_EQ(shape_of(config, "qkv.weight"), (Shape{24, 64}));
  EXPECT_EQ(shape_of(config, "dense.weight"), (Shape{2, 8, 71}));
  config.attention.form = "lra";
  EXPECT_EQ(shape_of(config, "dense.weight"), (Shape{1, 8, 71}));
  config.attention.mode = "factorised_random";
  EXPECT_EQ(shape_of(config, "random_left.weight"), (Shape{2, 71, 8}));
  config.attention.form = "paper";
  config.attention.mixture = true;
  EXPECT_EQ(shape_of(config, "mixture.weight"), (Shape{1}));
  config.attention.mixture = false;
  EXPECT_EQ(shape_of(config, "mixture.weight"), Shape{});
  config.attention.mode = "factorised_dense";
  EXPECT_EQ(shape_of(config, "qkv.weight"), (Shape{24, 80}));
  EXPECT_EQ(shape_of(config, "inner.weight"), (Shape{2, 8, 32}));
  EXPECT_EQ(shape_of(config, "outer.weight"), (Shape{2, 8, 3}));
}

/// Copies one tensor of a model of two layers onto another, or adds to it.
void change(Fixture& f, const std::string& name, const std::function<float(float was, std::int64_t i)>& to) {
  for (const Parameter& p : f.model->parameters().all())
    if (p.name == name)
      for (std::int64_t i = 0; i < p.size; ++i) {
        float& x = f.values[static_cast<std::size_t>(p.offset + i)];
        x = to(x, i);
      }
  f.use(f.values);
}
std::int64_t offset_of(const Fixture& f, const std::string& name) {
  for (const Parameter& p : f.model->parameters().all())
    if (p.name == name)
      return p.offset;
  return -1;
}
/// The numbers of `from` for the tensors of this name in `f`.
void take_weights(Fixture& f, const Fixture& from) {
  for (const Parameter& p : f.model->parameters().all())
    if (const std::int64_t at = offset_of(from, p.name); at >= 0)
      std::copy_n(from.values.begin() + at, p.size, f.values.begin() + p.offset);
  f.use(f.values);
}
double distance(const std::vector<float>& a, const std::vector<float>& b) {
  return relative_error(Doubles(a.begin(), a.end()), Doubles(b.begin(), b.end()));
}

TEST(ArenaModels, AWideLongformerWithEqualProjectionsIsTheTransformer) {
  for (const char* pooling : {"cls", "mean"})
    for (const int global : {0, 1, 3}) {
      Config config = small(pooling);
      Fixture dense(config);
      config.attention.pattern = "longformer";
      config.attention.window = 2 * config.model.context + 2;
      config.attention.global = global;
      Fixture f(config);
      take_weights(f, dense);
      for (const std::string block : {"block.00.", "block.01."}) {
        const std::int64_t at = offset_of(f, block + "attention.qkv.weight");
        change(f, block + "attention.global.weight",
               [&](float, std::int64_t i) { return f.values[static_cast<std::size_t>(at + i)]; });
      }
      EXPECT_EQ(offset_of(f, "block.01.attention.global.weight") >= 0, global > 0);
      EXPECT_AT_MOST(distance(f.logits(), dense.logits()), 1e-5) << pooling << " " << global;
      if (global == 0)
        continue;
      // And the rows of the global positions do use the second set.
      change(f, "block.00.attention.global.weight", [](float x, std::int64_t i) { return i % 3 == 0 ? x + 1 : x; });
      EXPECT_GT(distance(f.logits(), dense.logits()), 1e-3);
    }
}

TEST(ArenaModels, TheReleasedLongformerHoldsProjectionsThatNothingUses) {
  Config config = config_of({"classify", "cls", "learned", "longformer", "two", "lra"});
  Fixture dense(small()), f(config);
  const std::int64_t layer = 3 * 24 * 16; // 3 D W
  EXPECT_EQ(f.model->parameters().count(), dense.model->parameters().count() + 2 * layer);
  const std::vector<float> before = f.logits();
  change(f, "block.00.attention.global.weight", [](float x, std::int64_t) { return x + 7; });
  EXPECT_EQ(f.logits(), before);
  // Memory that holds something else gets zeros.
  Buffer<float> g(f.model->parameters().extent(), "gradient");
  const std::vector<float> ones(static_cast<std::size_t>(f.model->parameters().extent()), 1.0f);
  copy_to_device(g.data(), ones.data(), g.bytes());
  f.model->forward_backward(f.batch, g.data(), f.scores, {});
  fence();
  const Doubles gradient = to_doubles(g);
  for (const Parameter& p : f.model->parameters().all())
    for (std::int64_t i = 0; i < p.size && p.name.find("attention.global") != std::string::npos; ++i)
      ASSERT_EQ(gradient[static_cast<std::size_t>(p.offset + i)], 0.0) << p.name;
}

TEST(ArenaModels, AShortBigBirdIsTheTransformer) {
  Config config = small();
  Fixture dense(config);
  config.attention.pattern = "bigbird";
  config.attention.stride = 8;
  config.attention.random = 2; // 71 positions are no more than (5 + 4) * 8
  Fixture f(config);
  EXPECT_EQ(f.logits(), dense.logits());
  config.attention.random = 1;
  Fixture sparse(config);
  EXPECT_NE(sparse.logits(), dense.logits());
}

TEST(ArenaModels, PaddedRowsOfTheReleasedBigBirdAreZero) {
  // One layer: a CLS row that is padding, as its first token is, reads nothing.
  for (const char* pattern : {"bigbird", "dense"}) {
    Config config = config_of({"classify", "cls", "learned", pattern, "two", "lra"});
    config.model.layers = 1;
    Fixture f(config);
    const auto logits = [&](std::uint16_t token) {
      f.full[5] = token;
      f.lay_out(config.model.context);
      f.seen[0] &= ~1u;
      return f.logits();
    };
    const std::vector<float> one = logits(3), other = logits(4);
    EXPECT_EQ(one == other, pattern == std::string("bigbird")) << pattern;
  }
}

TEST(ArenaModels, TheFirstByteOfAReleasedSparsePairStandsForTheClsVector) {
  // Pairs have no CLS vector; the row and the column that it would have are the first byte's.
  for (const char* pooling : {"cls", "mean"}) {
    Config config = config_of({"pairs", pooling, "sinusoid", "sparse", "two", "lra"});
    const Pattern pattern = pattern_of(config, 0, 0);
    EXPECT_EQ(pattern.length, 70);
    EXPECT_EQ(keys_of(pattern, 0).size(), pooling == std::string("cls") ? 70u : 1u);
    // Token 15 ends the first block where a slot stands in front of it, else token 16 begins the second one.
    EXPECT_EQ(keys_of(pattern, 16).size(), pooling == std::string("cls") ? 1u + 16 : 1u + 4 + 1);
  }
}

TEST(ArenaModels, TheReleasedFormsOfLinearAttentionAndPerformerTakePaddingForKeys) {
  for (const char* kernel : {"", "softmax", "relu"}) {
    Config config = small();
    config.attention.pattern = *kernel ? "performer" : "linear";
    config.attention.kernel = *kernel ? kernel : "softmax";
    config.attention.features = std::string(kernel) == "softmax" ? 2 : 0;
    Fixture paper(config);
    config.attention.form = "lra";
    Fixture lra(config);
    EXPECT_TRUE(paper.model->variable_length()) << kernel;
    EXPECT_FALSE(lra.model->variable_length()) << kernel << ": how much padding there is counts";
    const std::vector<float> before = lra.logits();
    EXPECT_NE(paper.logits(), before) << kernel;
    lra.lay_out(config.model.context, 7);
    EXPECT_NE(lra.logits(), before) << kernel;
    const Doubles gradient = lra.gradient();
    for (const Parameter& p : lra.model->parameters().all())
      EXPECT_AT_MOST(lra.directional_error(p, gradient), 2e-2) << kernel << " " << p.name;
  }
}

TEST(ArenaModels, ThePerformerDrawsItsFeaturesByTheStep) {
  Config config = small();
  config.attention.pattern = "performer";
  config.attention.redraw_steps = 10;
  Fixture f(config);
  const auto at_step = [&](std::uint32_t step) {
    f.batch.step = step;
    return f.logits();
  };
  const std::vector<float> first = at_step(0), second = at_step(10);
  EXPECT_EQ(at_step(9), first);
  EXPECT_NE(second, first);
  EXPECT_EQ(at_step(19), second);
  config.attention.redraw_steps = 0;
  Fixture held(config);
  const std::vector<float> before = held.logits();
  held.batch.step = 12345;
  EXPECT_EQ(held.logits(), before);
  // Training and evaluation of a step have one draw: the loss before the update is that of a forward pass.
  f.batch.step = 25;
  f.gradient();
  const auto trained = f.scores.losses;
  f.loss();
  EXPECT_TRUE(std::equal(trained.begin(), trained.end(), f.scores.losses.begin()));
  // ReLU features are not drawn.
  config.attention.kernel = "relu";
  Fixture relu(config);
  const std::vector<float> fixed = relu.logits();
  relu.batch.step = 12345;
  EXPECT_EQ(relu.logits(), fixed);
}

} // namespace
