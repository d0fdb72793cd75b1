// The bidirectional LSTM classifier as a whole: counts, gradients, padding, length of a micro-batch, dropout, low
// precision.
#include "model/sampling/decoder.hpp"
#include "tests/model/checks.hpp"
#include <map>

using namespace weft;
using namespace weft::testing;

namespace {

Config lstm(const std::string& pooling = "attention", const std::string& task = "classify") {
  Config c = small(pooling, task);
  c.model.family = "bilstm";
  c.model.width = 12;
  c.model.state_width = 10;
  c.model.pooling_width = pooling == "attention" ? 9 : 0;
  return c;
}

std::vector<Config> settings() {
  std::vector<Config> all = {lstm(), lstm("mean"), lstm("attention", "pairs")};
  all.push_back(lstm("mean", "pairs"));
  all.back().model.pair_features = "four";
  all.push_back(lstm());
  all.back().model.layers = 1;
  all.back().model.state_width = all.back().model.pooling_width = 0; // those of the rows
  all.push_back(lstm());
  all.back().model.layers = 3;
  all.back().model.state_width = 3; // narrower than the token vectors
  return all;
}
std::string name_of(const Config& c) {
  return c.data.task + " " + c.model.pooling + " " + std::to_string(c.model.layers) + " layers";
}

/// The classifier of a study of ListOps: 21 x 128, 790,528 and 1,576,960 of the layers, 131,584 of the pooling, 5,130.
TEST(BiLstm, ParameterCountIsThePublishedOneAndTensorsBeginAsTorchs) {
  Config c = lstm();
  c.model.vocabulary = 21;
  c.model.width = 128;
  c.model.state_width = c.model.pooling_width = 256;
  c.model.classes = 10;
  const auto model = make_model(c);
  EXPECT_EQ(model->parameters().count(), 2506890);
  const std::map<std::string, double> inputs = {{"head.pool.weight", 512},
                                                {"head.pool.bias", 512},
                                                {"head.pool.vector", 256},
                                                {"head.logits.weight", 512},
                                                {"head.logits.bias", 512}};
  for (const Parameter& p : model->parameters().all()) {
    if (p.name == "embedding.token") {
      EXPECT_EQ(p.initialiser, Initialiser::normal);
      EXPECT_EQ(p.std, 1);
      continue;
    }
    const auto own = inputs.find(p.name);
    EXPECT_EQ(p.initialiser, Initialiser::uniform) << p.name;
    EXPECT_DOUBLE_EQ(p.std, 1 / std::sqrt(own == inputs.end() ? 256.0 : own->second)) << p.name;
  }
}

TEST(BiLstm, GradientIsThatOfTheLossAlongRandomDirections) {
  for (const Config& c : settings()) {
    Fixture f(c);
    for (const Parameter& p : f.model->parameters().all()) // states that differ, and weights that tell them apart
      for (std::int64_t i = 0; i < p.size && p.name != "embedding.token"; ++i)
        f.values[static_cast<std::size_t>(p.offset + i)] *= p.name == "head.pool.vector" ? 8.0f : 2.0f;
    f.use(f.values);
    expect_gradient_of_the_loss(f, 2e-2, name_of(c));
  }
}

TEST(BiLstm, BothBiasesOfALayerHaveTheSameGradient) {
  Fixture f(lstm());
  const Doubles gradient = f.gradient();
  const auto of = [&](const std::string& name) {
    for (const Parameter& p : f.model->parameters().all())
      if (p.name == name)
        return Doubles(gradient.begin() + p.offset, gradient.begin() + p.offset + p.size);
    throw std::out_of_range(name);
  };
  for (const std::string block : {"block.00.lstm.", "block.01.lstm."})
    EXPECT_EQ(of(block + "input.bias"), of(block + "state.bias"));
}

TEST(BiLstm, PaddingMovesNoBit) {
  for (const Config& c : settings()) {
    Fixture f(c);
    expect_padding_moves_nothing(f, name_of(c));
  }
}

TEST(BiLstm, AShorterMicroBatchGivesTheSameLogits) {
  for (Config c : settings()) {
    c.model.dropout = 0.2;
    c.model.layer_dropout = c.model.layers > 1 ? 0.3 : 0;
    Fixture f(c);
    expect_shorter_is_the_same(f, name_of(c));
  }
}

TEST(BiLstm, DropoutIsOnTheTokensAndBetweenTheLayersInTrainingAlone) {
  Fixture none(lstm());
  const std::vector<float> logits = none.logits();
  const Doubles gradient = none.gradient();
  for (const bool between : {false, true}) {
    Config c = lstm();
    (between ? c.model.layer_dropout : c.model.dropout) = 0.3;
    Fixture f(c);
    EXPECT_EQ(f.logits(), logits);
    expect_dropout_is_replayed(f, gradient,
                               {"embedding.token", "block.00.lstm.state.weight", "block.01.lstm.input.weight"}, 1e-3);
  }
}

TEST(BiLstm, GradientsAreAnnouncedFromTheEndAndFinal) {
  for (const Config& c : settings()) {
    Fixture f(c);
    EXPECT_EQ(expect_announced_and_final(f, name_of(c)), c.model.layers + 1);
  }
}

TEST(BiLstm, LowPrecisionStaysClose) {
  for (const Config& c : settings())
    expect_low_precision_close(c, name_of(c), 5);
}

TEST(BiLstm, FindsTheFirstActivationThatIsBadAndNotTheGradientsBehindIt) {
  for (const auto& [tensor, activation] :
       {std::pair{"embedding.token", "embedded"}, std::pair{"block.01.lstm.state.weight", "block.01.lstm.cells"},
        std::pair{"head.pool.weight", "head.pooled"}, std::pair{"head.logits.bias", "logits"}}) {
    Fixture f(lstm());
    f.gradient();
    EXPECT_EQ(f.model->first_nonfinite_activation(), "");
    std::vector<float> bad = f.values;
    for (const Parameter& p : f.model->parameters().all())
      for (std::int64_t i = 0; i < p.size && p.name == tensor; ++i)
        bad[static_cast<std::size_t>(p.offset + i)] = NAN;
    f.use(bad);
    f.gradient();
    EXPECT_EQ(f.model->first_nonfinite_activation(), activation) << tensor;
  }
}

TEST(BiLstm, CannotBeSampledFrom) {
  Fixture f(lstm());
  EXPECT_THROW(f.model->decoder(f.flat.data(), 1, 8), InputError);
}

} // namespace
