// The classifiers of linear recurrent units and of diagonal state space models as a whole: counts, initial numbers,
// gradients, padding, length of a micro-batch, dropout, low precision.
#include "model/sampling/decoder.hpp"
#include "tests/model/checks.hpp"

using namespace weft;
using namespace weft::testing;

namespace {

Config lru(const std::string& pooling = "mean", const std::string& task = "classify") {
  Config c = small(pooling, task);
  c.model.family = "lru";
  c.model.positions = "none";
  c.model.state_width = 10;
  c.model.r_min = 0.4;
  c.model.r_max = 0.95;
  return c;
}

Config s4d(const std::string& pooling = "mean", const std::string& task = "classify") {
  Config c = small(pooling, task);
  c.model.family = "s4d";
  c.model.positions = "none";
  c.model.state_width = 5;
  c.model.dt_min = 0.01;
  c.model.dt_max = 0.3;
  return c;
}

std::vector<Config> settings() {
  std::vector<Config> all = {lru(), lru("attention"), lru("mean", "pairs")};
  all.back().model.pair_features = "four";
  all.push_back(lru());
  all.back().model.bidirectional = false;
  all.push_back(lru());
  all.back().model.stream = "post_norm";
  all.back().model.layers = 3;
  all.back().model.state_width = 0; // that of the rows
  all.push_back(s4d());
  all.push_back(s4d("attention", "pairs"));
  all.back().model.bidirectional = false;
  all.back().model.stream = "post_norm";
  all.back().model.state_width = 0; // 32
  return all;
}
std::string name_of(const Config& c) {
  return c.model.family + " " + c.data.task + " " + c.model.pooling + " " + c.model.stream +
         (c.model.bidirectional ? "" : " from the front");
}

const Parameter& tensor(const Model& model, const std::string& name) {
  for (const Parameter& p : model.parameters().all())
    if (p.name == name)
      return p;
  throw std::out_of_range(name);
}

TEST(Lru, HasTheParametersOfItsFormulas) {
  Config c = lru();
  take_sizes(c, 6, 128, 1, 0, 70, 21, 10);
  c.model.state_width = 256;
  // norm; B; lambda, g; C; D; the gate
  const std::int64_t outside = 21 * 128 + 256 + 1290;
  const auto block = [](std::int64_t directions) {
    return 256 + 128 * 512 + 3 * 256 + directions * 512 * 128 + 128 + 128 * 256 + 256;
  };
  EXPECT_EQ(make_model(c)->parameters().count(), 6 * block(2) + outside);
  c.model.bidirectional = false;
  EXPECT_EQ(make_model(c)->parameters().count(), 6 * block(1) + outside);
}

TEST(Lru, FactorsBeginOnTheRingAndNeverDecay) {
  Config c = lru();
  c.model.state_width = 4000;
  c.model.r_min = 0.5;
  c.model.r_max = 0.9;
  c.model.phase_max = 2;
  const auto model = make_model(c);
  std::vector<float> values(static_cast<std::size_t>(model->parameters().extent()));
  initialise(values.data(), model->parameters(), 1);
  const auto of = [&](const char* name, std::int64_t i) {
    const Parameter& p = tensor(*model, std::string("block.01.lru.") + name);
    EXPECT_FALSE(p.decayed()) << name;
    EXPECT_TRUE(p.recurrent) << name;
    return static_cast<double>(values[static_cast<std::size_t>(p.offset + i)]);
  };
  double area = 0, angle = 0, least = 1, most = 0;
  for (std::int64_t i = 0; i < 4000; ++i) {
    const double r = std::exp(-std::exp(of("nu", i))), turn = std::exp(of("theta", i));
    EXPECT_NEAR(std::exp(of("gain", i)), std::sqrt(1 - r * r), 1e-5);
    EXPECT_GE(r, 0.5 - 1e-6);
    EXPECT_LE(r, 0.9 + 1e-6);
    EXPECT_LE(turn, 2 + 1e-6);
    area += (r * r - 0.25) / 0.56 / 4000; // even on the ring: uniform
    angle += turn / 4000;
    least = std::min(least, r);
    most = std::max(most, r);
  }
  EXPECT_NEAR(area, 0.5, 0.02);
  EXPECT_NEAR(angle, 1, 0.04);
  EXPECT_LT(least, 0.51);
  EXPECT_GT(most, 0.89);
  const auto spread = [&](const char* name, double want) {
    const Parameter& p = tensor(*model, std::string("block.01.lru.") + name);
    double squares = 0;
    for (std::int64_t i = 0; i < p.size; ++i)
      squares += std::pow(static_cast<double>(values[static_cast<std::size_t>(p.offset + i)]), 2);
    EXPECT_NEAR(std::sqrt(squares / static_cast<double>(p.size)), want, 0.1 * want) << name;
  };
  EXPECT_TRUE(tensor(*model, "block.01.lru.in.weight").recurrent); // B
  EXPECT_FALSE(tensor(*model, "block.01.lru.in.weight").decayed());
  EXPECT_FALSE(tensor(*model, "block.01.lru.out.weight").recurrent);
  EXPECT_TRUE(tensor(*model, "block.01.lru.out.weight").decayed());
  spread("in.weight", 1 / std::sqrt(2 * 24.0));
  spread("out.weight", 1 / std::sqrt(4000.0));
  spread("glu.weight", 1 / std::sqrt(24.0));
}

TEST(Lru, FactorsBeginFiniteOnTheWholeDisk) {
  Config c = lru();
  c.model.state_width = 20000;
  c.model.r_min = 0;
  c.model.r_max = 1;
  const auto model = make_model(c);
  std::vector<float> values(static_cast<std::size_t>(model->parameters().extent()));
  initialise(values.data(), model->parameters(), 3);
  for (const float x : values)
    ASSERT_TRUE(std::isfinite(x));
}

TEST(S4d, HasTheParametersOfItsFormulas) {
  Config c = s4d();
  take_sizes(c, 6, 128, 1, 0, 70, 21, 10);
  c.model.state_width = 0;
  // norm; A; C; dt and D; the gate
  const std::int64_t outside = 21 * 128 + 256 + 1290;
  const auto block = [](std::int64_t directions) {
    return 256 + 2 * 128 * 32 + directions * 2 * 128 * 32 + 2 * 128 + 128 * 256 + 256;
  };
  EXPECT_EQ(make_model(c)->parameters().count(), 6 * block(2) + outside);
  c.model.bidirectional = false;
  EXPECT_EQ(make_model(c)->parameters().count(), 6 * block(1) + outside);
}

TEST(S4d, BeginsAsThePaperHasItAndItsStatesNeverDecay) {
  Config c = s4d();
  c.model.width = 2000;
  c.model.state_width = 4;
  c.model.dt_min = 0.001;
  c.model.dt_max = 0.1;
  const auto model = make_model(c);
  std::vector<float> values(static_cast<std::size_t>(model->parameters().extent()));
  initialise(values.data(), model->parameters(), 1);
  const auto of = [&](const char* name, std::int64_t i) {
    const Parameter& p = tensor(*model, std::string("block.01.s4d.") + name);
    return static_cast<double>(values[static_cast<std::size_t>(p.offset + i)]);
  };
  double mean = 0, squares = 0, least = 1, most = 0;
  for (std::int64_t j = 0; j < 2000; ++j) {
    for (std::int64_t m = 0; m < 4; ++m) {
      EXPECT_FLOAT_EQ(static_cast<float>(std::exp(of("decay", j * 4 + m))), 0.5f);
      EXPECT_FLOAT_EQ(static_cast<float>(of("angle", j * 4 + m)), static_cast<float>(m) * 3.14159265f);
    }
    const double dt = std::exp(of("step", j));
    EXPECT_GE(dt, 0.001 * (1 - 1e-6));
    EXPECT_LE(dt, 0.1 * (1 + 1e-6));
    least = std::min(least, dt);
    most = std::max(most, dt);
    mean += of("step", j) / 2000;
  }
  EXPECT_NEAR(mean, std::log(0.01), 0.1);
  EXPECT_LT(least, 0.0011);
  EXPECT_GT(most, 0.09);
  const std::int64_t numbers = 2 * 2000 * 4 * 2; // of C, both directions
  for (std::int64_t i = 0; i < numbers; ++i)
    squares += of("c", i) * of("c", i) / static_cast<double>(numbers);
  EXPECT_NEAR(2 * squares, 1, 0.05) << "of a complex number";
  for (const char* name : {"decay", "angle", "step"}) {
    EXPECT_TRUE(tensor(*model, std::string("block.00.s4d.") + name).recurrent) << name;
    EXPECT_FALSE(tensor(*model, std::string("block.00.s4d.") + name).decayed()) << name;
  }
  EXPECT_FALSE(tensor(*model, "block.00.s4d.c").recurrent);
  EXPECT_TRUE(tensor(*model, "block.00.s4d.c").decayed());
  EXPECT_FALSE(tensor(*model, "block.00.s4d.skip").recurrent);
}

TEST(Recurrent, GradientIsThatOfTheLossAlongRandomDirections) {
  for (const Config& c : settings()) {
    Fixture f(c);
    expect_gradient_of_the_loss(f, 5e-3, name_of(c));
  }
}

TEST(Recurrent, PaddingMovesNoBit) {
  for (const Config& c : settings()) {
    Fixture f(c);
    expect_padding_moves_nothing(f, name_of(c));
  }
}

TEST(Recurrent, AShorterMicroBatchGivesTheSameLogits) {
  for (Config c : settings()) {
    c.model.dropout = 0.2;
    Fixture f(c);
    expect_shorter_is_the_same(f, name_of(c));
  }
}

TEST(Recurrent, DropoutIsReplayed) {
  for (Config c : {lru(), s4d()}) {
    Fixture none(c);
    c.model.dropout = 0.3;
    Fixture f(c);
    EXPECT_EQ(f.logits(), none.logits());
    const bool lru = c.model.family == "lru";
    expect_dropout_is_replayed(f, none.gradient(),
                               {"embedding.token", lru ? "block.00.lru.in.weight" : "block.00.s4d.c",
                                lru ? "block.01.lru.glu.weight" : "block.01.s4d.glu.weight"},
                               5e-3);
  }
}

TEST(Recurrent, GradientsAreAnnouncedFromTheEndAndFinal) {
  for (const Config& c : settings()) {
    Fixture f(c);
    EXPECT_GE(expect_announced_and_final(f, name_of(c)), 2 * c.model.layers);
  }
}

TEST(Recurrent, LowPrecisionStaysClose) {
  for (const Config& c : settings())
    expect_low_precision_close(c, name_of(c));
}

TEST(Recurrent, CannotBeSampledFrom) {
  for (const Config& c : {lru(), s4d()}) {
    Fixture f(c);
    try {
      f.model->decoder(f.flat.data(), 1, 8);
      FAIL() << c.model.family;
    } catch (const InputError& e) {
      EXPECT_NE(std::string(e.what()).find(c.model.family), std::string::npos) << e.what();
    }
  }
}

} // namespace
