// The encoder with the codes of BERT's and GPT-2's kin, the classifier that they share, and the loss of close classes:
// counts, initial numbers, gradients with and without dropout, padding, causality, low precision.
#include "tests/model/checks.hpp"
#include "tests/model/mega_fixture.hpp"

using namespace weft;
using namespace weft::testing;

namespace {

struct Encoder {
  const char *name, *task, *pooling, *pattern;
  void (*also)(Config&);
};
void bert(Config& c) {
  c.model.code = "bert";
  c.model.stream = "post_norm";
  c.model.head = "pooler";
}
void gpt2(Config& c) { c.model.code = "gpt2"; }
void close_classes(Config& c) {
  gpt2(c);
  c.loss.function = "class_proximity";
  c.loss.proximity = 3;
}
void no_last_norm(Config& c) {
  c.model.final_norm = false;
  c.model.head = "pooler";
}
void reformer(Config& c) {
  c.model.stream = "reversible";
  c.model.positions = "axial";
  c.model.position_shape = {7, 10};
  c.model.position_widths = {8, 16};
  c.model.head = "pooler";
}
void mega(Config& c) {
  make_mega(c, c.attention.pattern, c.model.stream, "scale", "softmax", 20);
  c.model.head = "pooler";
  c.model.final_norm = false;
  c.model.token_deviation = 0.3;
  c.attention.width = 0;
}
const Encoder encoders[] = {{"bert", "classify", "cls", "dense", bert},
                            {"bert, pairs", "pairs", "first", "dense", bert},
                            {"longformer", "classify", "cls", "longformer", bert},
                            {"bigbird", "classify", "first", "bigbird", bert},
                            {"gpt2", "classify", "last", "dense", gpt2},
                            {"gpt2, pairs", "pairs", "mean", "local", gpt2},
                            {"close classes", "classify", "last", "dense", close_classes},
                            {"no last norm", "classify", "first", "dense", no_last_norm},
                            {"reformer", "classify", "mean", "lsh", reformer},
                            {"mega", "classify", "first", "dense", mega}};

Config config_of(const Encoder& e) {
  const Case as_arena{e.task, e.pooling, "learned", e.pattern, "two", "paper", e.also};
  return weft::testing::config_of(as_arena);
}

/// Some scores of MEGA move nothing; the global rows of a Longformer that reads one of them have projections of their
/// own.
bool idle(const Encoder& e, const Parameter& p) {
  const bool own = e.pattern == std::string("longformer") && e.pooling == std::string("cls");
  return p.name.find("key.shift") != std::string::npos || (own && p.name.find("block.01.attention.qkv") == 0);
}
/// Of biases in front of heads the keys' third moves all scores of a query alike: its gradient is rounding.
std::function<bool(std::int64_t)> moving(const Parameter& p) {
  if (p.name.find("attention.qkv.bias") == std::string::npos &&
      p.name.find("attention.global.bias") == std::string::npos)
    return {};
  return [](std::int64_t i) { return i % 48 < 16 || i % 48 >= 32; };
}

bool contains(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

/// Weights with which all of a block matters beside the rounding of fp32: all but the classifier begin small.
void stretch(const Encoder& e, Fixture& f) {
  const bool gated = e.also == mega;
  for (const Parameter& p : f.model->parameters().all()) {
    const bool scores =
        gated && (contains(p.name, "relative") || contains(p.name, "query") || contains(p.name, "key."));
    const bool maps = contains(p.name, "weight") && (contains(p.name, "block") || contains(p.name, "head"));
    for (std::int64_t i = 0; i < p.size; ++i)
      f.values[static_cast<std::size_t>(p.offset + i)] *= scores                                           ? 20.0f
                                                          : maps || (gated && p.name == "embedding.token") ? 5.0f
                                                                                                           : 1.0f;
  }
  f.use(f.values);
}

const Parameter& parameter(const Model& model, const std::string& name) {
  for (const Parameter& p : model.parameters().all())
    if (p.name == name)
      return p;
  throw std::out_of_range(name);
}
bool has(const Model& model, const std::string& name) {
  const auto& all = model.parameters().all();
  return std::any_of(all.begin(), all.end(), [&](const Parameter& p) { return p.name == name; });
}

TEST(Encoders, HaveTheParametersOfTheirKin) {
  Config c;
  c.data.task = "classify";
  c.model.family = "arena";
  take_sizes(c, 12, 768, 12, 3072, 512, 30522, 10);
  c.model.positions = "learned";
  c.attention.pattern = "dense";
  c.training.micro_batch = 1;
  c.model.code = "bert";
  c.model.stream = "post_norm";
  c.model.pooling = "first";
  c.model.head = "pooler";
  // bert-base-uncased, 109,482,240, has two vectors of kinds of segments more.
  EXPECT_EQ(make_model(c)->parameters().count(), 109'482'240 - 2 * 768 + 10 * 768 + 10);
  c.model.code = "gpt2";
  c.model.stream = "pre_norm";
  c.model.head = "own";
  c.model.pooling = "last";
  c.model.vocabulary = 50257;
  c.model.context = 1024;
  EXPECT_EQ(make_model(c)->parameters().count(), 124'439'808 + 10 * 768); // gpt2, and a map without a bias
  Config m;
  mega(m);
  m.data.task = "classify";
  take_sizes(m, 4, 16, 1, 256, 1024, 23, 10);
  m.model.pooling = "first";
  m.attention.pattern = "dense";
  m.attention.bias = "rotary";
  m.attention.shared_width = 64;
  m.attention.value_width = 256;
  m.attention.states = 16;
  m.training.micro_batch = 1;
  EXPECT_EQ(make_model(m)->parameters().count(), 102258); // of the ListOps study
}

TEST(Encoders, BeginAsTheirKinDo) {
  Config config = config_of(encoders[0]);
  const auto first = make_model(config);
  for (const char* name :
       {"embedding.token", "embedding.start", "embedding.position.0", "block.01.attention.qkv.weight",
        "block.01.attention.out.weight", "block.01.feedforward.in.weight", "block.01.feedforward.out.weight",
        "head.mlp.weight", "head.logits.weight"}) {
    EXPECT_EQ(parameter(*first, name).initialiser, Initialiser::normal) << name;
    EXPECT_DOUBLE_EQ(parameter(*first, name).std, 0.02) << name;
  }
  for (const char* name :
       {"block.00.attention.qkv.bias", "block.00.attention.out.bias", "head.mlp.bias", "head.logits.bias"})
    EXPECT_EQ(parameter(*first, name).initialiser, Initialiser::zero) << name;
  EXPECT_EQ(parameter(*first, "embedding.norm.gain").initialiser, Initialiser::one);
  EXPECT_EQ(parameter(*first, "head.mlp.weight").shape, (std::vector<std::int64_t>{24, 24}));
  EXPECT_FALSE(has(*first, "norm.gain")) << "a norm at the end";
  config = config_of(encoders[4]);
  const auto second = make_model(config);
  for (const char* name : {"block.00.attention.out.weight", "block.01.feedforward.out.weight"})
    EXPECT_DOUBLE_EQ(parameter(*second, name).std, 0.02 / 2) << name; // two layers: sqrt(4)
  EXPECT_DOUBLE_EQ(parameter(*second, "block.00.attention.qkv.weight").std, 0.02);
  EXPECT_TRUE(has(*second, "norm.gain"));
  EXPECT_FALSE(has(*second, "embedding.norm.gain"));
  EXPECT_FALSE(has(*second, "head.logits.bias"));
  EXPECT_FALSE(has(*second, "head.mlp.weight"));
  config.model.token_deviation = 0.3;
  EXPECT_DOUBLE_EQ(parameter(*make_model(config), "embedding.token").std, 0.3);
  config = config_of(encoders[7]);
  EXPECT_FALSE(has(*make_model(config), "norm.gain"));
  config.model.final_norm = true;
  EXPECT_TRUE(has(*make_model(config), "norm.gain"));
  const auto scaled = make_model(config_of(encoders[9]));
  EXPECT_DOUBLE_EQ(parameter(*scaled, "embedding.token").std, 0.3);
  EXPECT_TRUE(has(*scaled, "head.logits.bias"));
  EXPECT_EQ(parameter(*scaled, "head.mlp.weight").shape, (std::vector<std::int64_t>{24, 24}));
}

TEST(Encoders, GradientIsThatOfTheLossAlongRandomDirections) {
  for (const Encoder& e : encoders) {
    Fixture f(config_of(e));
    stretch(e, f);
    const Doubles gradient = f.gradient();
    for (const Parameter& p : f.model->parameters().all()) {
      if (idle(e, p))
        continue;
      EXPECT_AT_MOST(f.directional_error(p, gradient, moving(p)), 2e-2) << e.name << " " << p.name;
    }
  }
}

TEST(Encoders, GradientIsThatOfTheStepsLossWithItsDropout) {
  for (const Encoder& e : encoders) {
    Config config = config_of(e);
    config.model.dropout = 0.3;
    Fixture f(config);
    const Doubles gradient = f.gradient();
    for (const Parameter& p : f.model->parameters().all()) {
      if (idle(e, p) || (p.name.rfind("head.", 0) != 0 && p.name.rfind("embedding.", 0) != 0))
        continue;
      const double error = directional_error(p, gradient, f.values, 2e-3, [&](const std::vector<float>& weights) {
        f.use(weights);
        return loss_of_step(f);
      });
      f.use(f.values);
      EXPECT_AT_MOST(error, 2e-2) << e.name << " " << p.name;
    }
  }
}

TEST(Encoders, KeepWhatEveryClassifierKeeps) {
  for (const Encoder& e : encoders) {
    Config config = config_of(e);
    config.model.dropout = 0.2;
    Fixture f(config);
    expect_padding_moves_nothing(f, e.name);
    expect_announced_and_final(f, e.name);
    expect_shorter_is_the_same(f, e.name);
  }
}

TEST(Encoders, LowPrecisionStaysClose) {
  for (const Encoder& e : encoders)
    expect_low_precision_close(config_of(e), e.name, 5, 1.25);
}

// The first row of a causal encoder is a function of the first token alone, and the last one of all of them.
TEST(Encoders, GptSeesNothingThatComesLater) {
  for (const char* pattern : {"dense", "local", "strided", "linear", "synthesizer", "lsh"}) {
    Encoder e = encoders[4];
    e.pattern = pattern;
    Config config = config_of(e);
    config.model.pooling = "first"; // no input file may ask for it
    config.attention.mode = "random";
    Fixture f(config);
    const std::vector<float> before = f.logits();
    for (std::size_t i = 0; i < f.full.size(); ++i)
      if (i % static_cast<std::size_t>(f.config.model.context) > 0)
        f.full[i] = static_cast<std::uint16_t>(1 + f.full[i] % 39);
    f.lay_out(f.config.model.context);
    EXPECT_EQ(f.logits(), before) << pattern;
    f.full[0] = static_cast<std::uint16_t>(1 + f.full[0] % 39);
    f.lay_out(f.config.model.context);
    EXPECT_NE(f.logits(), before) << pattern;
  }
}

TEST(Encoders, GptReadsTheLastRealRowAndAllInFrontOfIt) {
  Fixture f(config_of(encoders[4]));
  const auto C = static_cast<std::size_t>(f.config.model.classes), N = static_cast<std::size_t>(f.config.model.context);
  const std::vector<float> before = f.logits();
  for (std::size_t s = 0; s < 3; ++s)
    for (const std::size_t i : {std::size_t{0}, static_cast<std::size_t>(f.lengths[s]) - 1}) {
      const std::uint16_t was = f.full[s * N + i];
      f.full[s * N + i] = static_cast<std::uint16_t>(1 + was % 39);
      f.lay_out(f.config.model.context);
      const std::vector<float> now = f.logits();
      for (std::size_t other = 0; other < 3; ++other) {
        const std::vector<float> a(before.begin() + static_cast<std::ptrdiff_t>(other * C),
                                   before.begin() + static_cast<std::ptrdiff_t>((other + 1) * C)),
            b(now.begin() + static_cast<std::ptrdiff_t>(other * C),
              now.begin() + static_cast<std::ptrdiff_t>((other + 1) * C));
        EXPECT_EQ(a != b, other == s) << s << " " << i << " " << other;
      }
      f.full[s * N + i] = was;
    }
}

TEST(Encoders, TheLossOfCloseClassesIsTheCrossEntropyAndTheDistance) {
  Config config = config_of(encoders[4]);
  Fixture plain(config);
  close_classes(config);
  Fixture close(config);
  config.loss.proximity = 0;
  Fixture weak(config);
  EXPECT_EQ(close.logits(), plain.logits());
  const double entropy = plain.loss(), both = close.loss();
  EXPECT_GT(both, entropy + 0.1);
  EXPECT_LT(both, entropy + 3);
  EXPECT_NEAR(weak.loss(), entropy, 1e-6);
}

} // namespace
