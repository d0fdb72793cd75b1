// MEGA as a whole: counts, initial numbers, gradients, padding, length of a micro-batch, dropout, low precision.
#include "model/sampling/decoder.hpp"
#include "tests/model/checks.hpp"
#include "tests/model/mega_fixture.hpp"

using namespace weft;
using namespace weft::testing;

namespace {

struct Setting {
  const char *pattern, *bias, *pooling, *norm;
  const char* stream = "post_norm";
  std::int64_t values = 20;
  const char *function = "softmax", *task = "classify", *input = "tokens";
};
const Setting settings[] = {{"dense", "simple", "mean", "layer"},
                            {"block_bidirectional", "simple", "mean", "scale"},
                            {"dense", "none", "attention", "layer"},
                            {"chunk", "simple", "mean", "layer", "pre_norm"},
                            {"dense", "simple", "mean", "scale", "pre_norm", 300}, // more than the engine takes at once
                            {"dense", "rotary", "mean", "layer"},
                            {"chunk", "rotary", "mean", "layer", "pre_norm", 20, "laplace"},
                            {"dense", "simple", "mean", "scale", "post_norm", 300, "laplace"},
                            {"dense", "simple", "mean", "rms", "post_norm", 20, "relu2"},
                            {"chunk", "none", "mean", "rms", "pre_norm"},
                            {"chunk", "simple", "mean", "scale", "post_norm", 20, "softmax", "pairs"},
                            {"dense", "simple", "mean", "layer", "pre_norm", 20, "laplace", "classify", "pixels"},
                            {"dense", "rotary", "attention", "batch", "post_norm"},
                            {"chunk", "simple", "mean", "batch", "pre_norm", 20, "laplace", "classify", "pixels"},
                            {"dense", "none", "mean", "batch", "post_norm", 20, "relu2", "pairs"}};
std::ostream& operator<<(std::ostream& out, const Setting& s) {
  return out << s.pattern << " " << s.bias << " " << s.pooling << " " << s.norm << " " << s.stream << " " << s.values
             << " " << s.function << " " << s.task << " " << s.input;
}

Config config_of(const Setting& s) {
  Config c = small(s.pooling, s.task);
  make_mega(c, s.pattern, s.stream, s.norm, s.function, s.values);
  c.model.input = s.input;
  c.attention.bias = s.bias;
  c.attention.stride = 32;
  return c;
}

bool contains(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

bool batch_norms(const Setting& s) { return s.norm == std::string("batch"); }

/// What moves all keys alike moves all scores of a query alike: in a softmax its gradient is 0 but for rounding. And
/// what moves all rows alike right in front of a batch norm moves their mean alone.
bool idle(const Setting& s, const Parameter& p) {
  const bool last = s.stream == std::string("post_norm") || contains(p.name, "block.01");
  return (s.function == std::string("softmax") && contains(p.name, "key.shift")) ||
         (batch_norms(s) && last && contains(p.name, "feedforward.out.bias"));
}

TEST(Mega, HasTheParametersOfThePapersListOpsAndText) {
  Config c = config_of(settings[0]);
  take_sizes(c, 6, 80, 1, 160, 2002, 18, 10);
  c.attention.shared_width = 64;
  c.attention.value_width = 160;
  c.attention.states = 16;
  const std::int64_t embedding = 18 * 80, head = 80 * 160 + 160 + 160 * 10;
  EXPECT_EQ(make_model(c)->parameters().count(), 586098 + embedding + head);
  take_sizes(c, 4, 128, 1, 0, 4002, 260, 2);
  c.attention.value_width = 0; // 2D, as feedforward
  c.model.norm = "scale";
  const std::int64_t of_text = 260 * 128 + 128 * 256 + 256 + 256 * 2;
  EXPECT_EQ(make_model(c)->parameters().count(), 923668 + of_text);
  c.model.norm = "batch"; // 128 gains and biases instead of one number; running statistics are no parameters
  const auto batch = make_model(c);
  EXPECT_EQ(batch->parameters().count(), 923668 + of_text + 8 * (2 * 128 - 1));
  EXPECT_EQ(batch->parameters().stored(), batch->parameters().count() + 8 * 2 * 128);
}

TEST(Mega, BeginsAsThePaperDoes) {
  const auto model = make_model(config_of(settings[0]));
  std::vector<float> values(static_cast<std::size_t>(model->parameters().extent()));
  initialise(values.data(), model->parameters(), 1);
  std::size_t found = 0;
  for (const Parameter& p : model->parameters().all()) {
    const float* const first = values.data() + p.offset;
    if (p.name == "block.01.ema.beta") { // 1, -1, 1, -1, 1 for every channel
      for (std::int64_t i = 0; i < p.size; ++i)
        EXPECT_NEAR(first[i], i % 5 % 2 == 0 ? 1 : -1, 0.1) << i;
      ++found;
    }
    const auto spread = [&](double want) {
      double squares = 0;
      for (std::int64_t i = 0; i < p.size; ++i)
        squares += static_cast<double>(first[i]) * static_cast<double>(first[i]);
      EXPECT_NEAR(std::sqrt(squares / static_cast<double>(p.size)), want, 0.2 * want) << p.name;
      ++found;
    };
    if (p.name == "embedding.token")
      spread(1 / std::sqrt(24.0));
    if (p.name == "block.00.ema.delta" || p.name == "block.00.ema.alpha")
      spread(0.2);
    if (p.name == "block.00.ema.gamma")
      spread(1);
    if (p.name == "block.00.attention.mixed.weight" || p.name == "block.00.attention.relative" ||
        p.name == "block.01.feedforward.out.weight")
      spread(0.02);
    if (p.name == "head.mlp.weight") // Xavier's bound over sqrt(3)
      spread(std::sqrt(2.0 / (24 + 40)));
    EXPECT_NE(p.name, "head.logits.bias");
  }
  EXPECT_EQ(found, 9u);
}

TEST(Mega, GradientIsThatOfTheLossAlongRandomDirections) {
  for (const Setting& s : settings) {
    Fixture f(config_of(s));
    stretch(f);
    const Doubles gradient = f.gradient();
    const double step = s.input == std::string("pixels") ? 2e-3 : 5e-3; // less smooth
    for (const Parameter& p : f.model->parameters().all()) {
      if (!p.trained())
        continue;
      if (!idle(s, p)) {
        const double error = directional_error(p, gradient, f.values, step, [&](const std::vector<float>& weights) {
          f.use(weights);
          return batch_norms(s) ? loss_of_step(f) : f.loss(); // an evaluation has other statistics
        });
        EXPECT_AT_MOST(error, 2e-2) << s << " " << p.name;
        continue;
      }
      for (std::int64_t i = p.offset; i < p.offset + p.size; ++i)
        EXPECT_NEAR(gradient[static_cast<std::size_t>(i)], 0, 1e-6) << p.name;
    }
  }
}

/// Where the numbers of one tensor lie, by name.
std::pair<std::size_t, std::size_t> place_of(const Fixture& f, const std::string& name) {
  for (const Parameter& p : f.model->parameters().all())
    if (p.name == name)
      return {static_cast<std::size_t>(p.offset), static_cast<std::size_t>(p.offset + p.size)};
  throw std::logic_error(name);
}

/// In front of the first norm stand the tokens' vectors.
TEST(Mega, ABatchNormsStatisticsAreThoseOfTheRealRowsWhateverTheLossIsScaledBy) {
  Fixture f(config_of({"dense", "simple", "mean", "batch", "pre_norm"}));
  const std::size_t D = 24, embedding = place_of(f, "embedding.token").first;
  Doubles mean(D, 0), variance(D, 0);
  double n = 0;
  const auto for_real = [&](const auto& body) {
    for (std::int64_t s = 0; s < f.sequences; ++s)
      for (std::int64_t i = 0; i < f.lengths[static_cast<std::size_t>(s)]; ++i) {
        const std::size_t token = f.full[static_cast<std::size_t>(s * f.config.model.context + i)];
        for (std::size_t j = 0; j < D; ++j)
          body(j, static_cast<double>(f.values[embedding + token * D + j]));
        n += 1;
      }
  };
  for_real([&](std::size_t j, double x) { mean[j] += x; });
  for (double& m : mean)
    m /= n;
  for_real([&](std::size_t j, double x) { variance[j] += (x - mean[j]) * (x - mean[j]); });
  for (double& v : variance)
    v /= n / 2 - 1; // both passes have counted
  const auto found = [&](const char* name) {
    const Doubles gradient = f.gradient();
    const auto [begin, end] = place_of(f, name);
    return Doubles(gradient.begin() + static_cast<std::ptrdiff_t>(begin),
                   gradient.begin() + static_cast<std::ptrdiff_t>(end));
  };
  const Doubles means = found("block.00.norm1.mean"), variances = found("block.00.norm1.variance");
  EXPECT_AT_MOST(relative_error(means, mean), 1e-6);
  EXPECT_AT_MOST(relative_error(variances, variance), 1e-6);
  f.batch.loss_factor *= 1024;
  EXPECT_EQ(found("block.00.norm1.mean"), means);
  EXPECT_EQ(found("block.00.norm1.variance"), variances);
}

TEST(Mega, BatchNormsHaveTheRunningStatisticsInAnEvaluationAndTheMicroBatchsInTraining) {
  for (const char* stream : {"pre_norm", "post_norm"}) {
    Fixture f(config_of({"dense", "simple", "mean", "batch", stream}));
    const auto of_first = [&] {
      const std::vector<float> all = f.logits();
      return std::vector<float>(all.begin(), all.begin() + f.config.model.classes);
    };
    const auto loss_of_first = [&] {
      f.gradient();
      return f.scores.losses[0];
    };
    // Another token in the second row.
    const std::vector<float> logits = of_first();
    const float loss = loss_of_first();
    f.full[static_cast<std::size_t>(f.config.model.context)] ^= 1;
    f.lay_out(f.config.model.context);
    EXPECT_EQ(of_first(), logits) << stream;
    EXPECT_NE(loss_of_first(), loss) << stream;
    // Other running statistics, of every norm in turn.
    const std::vector<float> before = f.logits();
    const Doubles gradient = f.gradient();
    std::int64_t norms = 0;
    for (const Parameter& p : f.model->parameters().all()) {
      if (p.trained())
        continue;
      std::vector<float> moved = f.values;
      for (std::int64_t i = p.offset; i < p.offset + p.size; ++i)
        moved[static_cast<std::size_t>(i)] += 0.3f * static_cast<float>(1 + i % 3);
      f.use(moved);
      EXPECT_NE(f.logits(), before) << stream << " " << p.name;
      EXPECT_EQ(f.gradient(), gradient) << stream << " " << p.name;
      ++norms;
    }
    EXPECT_EQ(norms, stream == std::string("pre_norm") ? 10 : 8) << "a mean and a variance each";
  }
}

TEST(Mega, PaddingMovesNoBit) {
  for (const Setting& s : settings) {
    Fixture f(config_of(s));
    stretch(f);
    expect_padding_moves_nothing(f, s.pattern);
  }
}

TEST(Mega, AShorterMicroBatchGivesTheSameLogits) {
  for (const Setting& s : settings) {
    Fixture f(dropping(config_of(s)));
    expect_shorter_is_the_same(f, s.pattern);
  }
}

TEST(Mega, DropoutIsReplayed) {
  // Down the gradient of the token embedding by a small step, with the masks of the same training step.
  Config config = config_of(settings[0]);
  config.model.dropout = config.attention.dropout = 0.2;
  Fixture f(config);
  stretch(f);
  const auto training_loss = [&](Doubles* gradient) {
    const Doubles got = f.gradient();
    if (gradient)
      *gradient = got;
    double sum = 0;
    for (const float l : f.scores.losses)
      sum += static_cast<double>(l);
    return sum * static_cast<double>(f.batch.loss_factor);
  };
  Doubles gradient;
  const double before = training_loss(&gradient);
  EXPECT_GT(std::abs(before - f.loss()), 1e-3) << "nothing was dropped";
  for (const Parameter& p : f.model->parameters().all()) {
    double squares = 0;
    for (std::int64_t i = p.offset; i < p.offset + p.size; ++i)
      squares += std::pow(gradient[static_cast<std::size_t>(i)], 2);
    ASSERT_GT(squares, 0) << p.name;
    const double step = 2e-3 / std::sqrt(squares);
    std::vector<float> ahead = f.values, behind = f.values;
    for (std::int64_t i = p.offset; i < p.offset + p.size; ++i) {
      ahead[static_cast<std::size_t>(i)] -= static_cast<float>(step * gradient[static_cast<std::size_t>(i)]);
      behind[static_cast<std::size_t>(i)] += static_cast<float>(step * gradient[static_cast<std::size_t>(i)]);
    }
    f.use(ahead);
    const double low = training_loss(nullptr);
    f.use(behind);
    const double high = training_loss(nullptr), expected = 2 * step * squares;
    if (expected > 2e-5) { // beside the rounding of a loss
      EXPECT_NEAR((high - low) / expected, 1, 0.05) << p.name;
    }
  }
}

TEST(Mega, GradientsAreAnnouncedFromTheEndAndFinal) {
  for (const Setting& s : settings) {
    Fixture f(config_of(s));
    expect_announced_and_final(f, s.pattern);
  }
}

TEST(Mega, LowPrecisionStaysClose) {
  for (const Setting& s : settings) // a channel may differ less from row to row than from 0, where rounding is
    expect_low_precision_close(config_of(s), s.pattern, 1, batch_norms(s) ? 1.5 : 1);
}

TEST(Mega, ReadsTheSecondDocumentOfAPairFirst) {
  Config config = config_of(settings[0]);
  config.data.task = "pairs";
  Fixture f(config);
  const auto weight = [&]() -> const Parameter& {
    for (const Parameter& p : f.model->parameters().all())
      if (p.name == "head.mlp.weight")
        return p;
    throw std::logic_error("head.mlp.weight");
  }();
  ASSERT_EQ(weight.shape[0], 2 * config.model.width);
  const std::vector<float> before = f.logits();
  // Without the upper half of the map nothing of the second document is left, nor without the lower of the first.
  for (const bool second : {true, false}) {
    std::vector<float> half = f.values;
    const auto begin = half.begin() + weight.offset, middle = begin + weight.size / 2;
    std::fill(second ? begin : middle, second ? middle : begin + weight.size, 0.0f);
    f.use(half);
    const std::vector<float> one = f.logits();
    EXPECT_NE(one, before);
    // Another token in each document of that kind.
    const std::int64_t B = config.training.micro_batch, N = config.model.context;
    for (std::int64_t b = 0; b < B; ++b)
      f.full[static_cast<std::size_t>((second ? B + b : b) * N)] ^= 1;
    f.lay_out(N);
    EXPECT_EQ(f.logits(), one);
    f.use(f.values);
    EXPECT_NE(f.logits(), before);
    for (std::int64_t b = 0; b < B; ++b)
      f.full[static_cast<std::size_t>((second ? B + b : b) * N)] ^= 1;
    f.lay_out(N);
  }
}

TEST(Mega, CannotBeSampledFrom) {
  const auto model = make_model(config_of(settings[0]));
  EXPECT_THROW(model->decoder(nullptr, 1, 1), InputError);
}

} // namespace
