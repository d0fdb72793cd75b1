// The arena's encoder as a whole: counts, gradients, padding, length of a micro-batch, recomputation, low precision.
#include "tests/model/checks.hpp"

using namespace weft;
using namespace weft::testing;

namespace {

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
    take_sizes(c, s.layers, s.width, s.heads, s.hidden, s.context, s.vocabulary, s.classes);
    c.attention.width = s.attention;
    c.attention.pattern = "dense";
    c.training.micro_batch = 1;
    EXPECT_EQ(make_model(c)->parameters().count(), s.count) << s.positions << " " << s.width;
  }
}

// The Nystromformer's code, LRA/code/model.py: what torch begins its layers with, and biases in attention.
TEST(Arena, TheSecondCodeBeginsAsTorchDoes) {
  Config config = small("mean");
  const auto first = make_model(config);
  config.model.code = "nystromformer";
  const auto second = make_model(config);
  const auto initial = [&](const Model& model, const std::string& name) -> const Parameter& {
    for (const Parameter& p : model.parameters().all())
      if (p.name == name)
        return p;
    throw std::out_of_range(name);
  };
  EXPECT_EQ(second->parameters().count(), first->parameters().count() + 2 * (3 * 16 + 24));
  EXPECT_EQ(initial(*second, "embedding.token").std, 0.02);
  EXPECT_EQ(initial(*first, "embedding.token").std, 1);
  EXPECT_EQ(initial(*second, "embedding.position.0").std, 0.02);
  const std::string block = "block.01.";
  for (const auto& [name, inputs] : {std::pair{block + "attention.qkv", 24}, std::pair{block + "attention.out", 16},
                                     std::pair{block + "feedforward.in", 24}, std::pair{block + "feedforward.out", 40},
                                     std::pair{std::string("head.mlp"), 24}, std::pair{std::string("head.logits"), 40}})
    for (const char* tensor : {".weight", ".bias"}) {
      EXPECT_EQ(initial(*second, name + tensor).initialiser, Initialiser::uniform) << name << tensor;
      EXPECT_DOUBLE_EQ(initial(*second, name + tensor).std, 1 / std::sqrt(inputs)) << name << tensor;
    }
  config.attention.pattern = "lsh";
  EXPECT_THROW(initial(*make_model(config), block + "attention.qv.bias"), std::out_of_range);
  EXPECT_EQ(initial(*make_model(config), block + "attention.out.bias").initialiser, Initialiser::uniform);
  config.attention.pattern = "linformer";
  config.attention.sharing = "per_head";
  EXPECT_EQ(initial(*make_model(config), "attention.mix.weight").initialiser, Initialiser::normal);
  EXPECT_EQ(initial(*make_model(config), "attention.mix.weight").std, 0.02);
}

TEST(Arena, GradientIsThatOfTheLossAlongRandomDirections) {
  for (const Case& c : cases) {
    Fixture f(config_of(c));
    const Doubles gradient = f.gradient();
    for (const Parameter& p : f.model->parameters().all()) {
      const bool longformer = c.pattern == std::string("longformer"), released = c.form == std::string("lra");
      if (longformer && released && p.name.find("attention.global") != std::string::npos)
        continue; // idle there: TheReleasedLongformerHoldsProjectionsThatNothingUses
      if (longformer && !released && c.pooling == std::string("cls") && p.name == "block.01.attention.qkv.weight")
        continue; // the CLS row of the last layer attends by the second set alone
      if (released_sets(c) && p.name.find("sort") != std::string::npos) { // nothing reads it
        EXPECT_TRUE(std::all_of(gradient.begin() + p.offset, gradient.begin() + p.offset + p.size,
                                [](double x) { return x == 0; }));
        continue;
      }
      const bool small = p.name.find("sort.in.bias") != std::string::npos ||
                         p.name.find("mixture") != std::string::npos; // beside the noise of fp32
      EXPECT_AT_MOST(f.directional_error(p, gradient), held_stabiliser(f.config) ? 6e-2
                                                       : small                   ? 5e-2
                                                                                 : 2e-2)
          << c.task << " " << c.pooling << " " << c.pattern << " " << c.form << " " << p.name;
    }
  }
}

TEST(Arena, PaddingMovesNoBit) {
  for (const Case& c : cases) {
    if (c.pooling == std::string("mean_all") || released_sets(c)) // every row counts there, padded ones too
      continue;
    Fixture f(config_of(c));
    if (!f.model->variable_length()) // padded rows count
      continue;
    expect_padding_moves_nothing(f, std::string(c.task) + " " + c.pooling + " " + c.pattern);
  }
}

TEST(Arena, AShorterMicroBatchGivesTheSameLogits) {
  for (const Case& c : cases) {
    Fixture f(dropping(config_of(c)));
    const bool unmasked = c.also == released_linformer || c.also == released_dense_scores;
    EXPECT_EQ(f.model->variable_length(), c.pooling != std::string("mean_all") && !unmasked && !released_sets(c));
    if (!f.model->variable_length())
      continue;
    expect_shorter_is_the_same(f, std::string(c.task) + " " + c.pooling);
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
      EXPECT_EQ(f.gradient(), gradient) << c.pattern << " " << again;
      EXPECT_LT(f.model->costs().activation_bytes, none.model->costs().activation_bytes);
    }
  }
}

TEST(Arena, GradientsAreAnnouncedFromTheEndAndFinal) {
  for (const Case& c : cases) {
    Fixture f(config_of(c));
    expect_announced_and_final(f, c.pattern);
  }
}

TEST(Arena, LowPrecisionStaysClose) {
  for (const Case& c : cases) {
    const Config config = config_of(c);
    expect_low_precision_close(config, std::string(c.task) + " " + c.pooling + " " + c.pattern, 9,
                               held_stabiliser(config) ? 4 : 1); // exp
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
