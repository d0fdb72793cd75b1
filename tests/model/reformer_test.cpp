// The Reformer: counts, gradients through every kind of stream, memory, chunks, slots that hold their own token.
#include "config/config.hpp"
#include "io/error.hpp"
#include "model/layers/lsh_attention.hpp"
#include "model/sampling/decoder.hpp"
#include "tests/model/language_fixture.hpp"
#include <cstring>

using namespace weft;
using namespace weft::testing;
using Fixture = LanguageFixture;

namespace {

Config small(const std::string& stream = "reversible", const std::string& pattern = "lsh") {
  Config c = language_config(3, 32, 2, 70, pattern);
  c.model.family = "reformer";
  c.model.stream = stream;
  c.model.positions = "learned";
  c.model.feedforward = 48;
  c.model.vocabulary = 50;
  c.model.tied_embedding = true;
  c.attention.shared_qk = true;
  c.attention.buckets = {1}; // what is seen must not jump
  c.attention.chunk = 16;
  c.training.micro_batch = 2;
  return c;
}
const char* const streams[] = {"pre_norm", "post_norm", "reversible"};

TEST(Reformer, HasTheParametersOfTheReproduction) {
  Config c = small("post_norm", "dense");
  c.data.task = "copy";
  c.data.scoring = "reproduction";
  c.model.layers = 1;
  c.model.width = c.model.feedforward = 256;
  c.model.heads = 4;
  c.model.context = 1024;
  c.model.vocabulary = 128;
  EXPECT_EQ(make_model(c)->parameters().count(), 624256);
}

TEST(Reformer, AxialTablesHaveTheSizesOfThePaper) {
  Config c = small();
  c.model.width = 768;
  c.model.context = 65536;
  c.model.layers = 1;
  const std::int64_t none = make_model(c)->parameters().count() - 65536 * 768;
  c.model.positions = "axial";
  c.model.position_shape = {128, 512};
  c.model.position_widths = {256, 512};
  EXPECT_EQ(make_model(c)->parameters().count() - none, 294912);
  c.model.position_shape.clear();
  c.model.position_widths.clear();
  EXPECT_EQ(make_model(c)->parameters().count() - none, 2 * 256 * 384);
}

TEST(Reformer, GradientIsThatOfTheLossAlongRandomDirections) {
  for (const char* stream : streams)
    for (const char* pattern : {"lsh", "dense"}) {
      Config config = small(stream, pattern);
      if (config.attention.pattern == "dense") { // the other choices once each
        config.model.tied_embedding = false;
        config.model.positions = "axial";
        config.model.feedforward_chunks = 3;
        config.model.loss_chunks = 4;
      }
      Fixture f(config);
      const Doubles gradient = f.gradient();
      for (const Parameter& p : f.model->parameters().all())
        EXPECT_AT_MOST(f.error_along(p, gradient, 1e-2), 1e-2) << stream << " " << pattern << " " << p.name;
    }
}

TEST(Reformer, GradientsAreAnnouncedFromTheEndAndFinal) {
  for (const char* stream : streams) {
    Config config = small(stream);
    config.model.tied_embedding = false; // else the first tensor is final at the end only
    SCOPED_TRACE(stream);
    Fixture(config).expect_gradients_from_the_end();
  }
}

TEST(Reformer, ChunksChangeNothingButTheOrderOfSums) {
  for (const char* stream : {"post_norm", "reversible"}) {
    Config config = small(stream);
    Fixture whole(config);
    config.model.feedforward_chunks = 5;
    config.model.loss_chunks = 3;
    Fixture chunked(config);
    EXPECT_AT_MOST(relative_error(chunked.gradient(), whole.gradient()), 1e-5);
    EXPECT_AT_MOST(std::abs(chunked.loss() - whole.loss()), 1e-6);
    EXPECT_THROW(chunked.logits(), InputError);
    EXPECT_LT(chunked.model->costs().activation_bytes, whole.model->costs().activation_bytes);
  }
}

TEST(Reformer, AReversibleStreamsMemoryDoesNotGrowWithDepth) {
  const auto bytes = [](const char* stream, std::int64_t layers) {
    Config c = small(stream);
    c.model.width = 256;
    c.model.heads = 4;
    c.model.feedforward = 1024;
    c.model.context = 4096;
    c.model.vocabulary = 256;
    c.attention.buckets.clear();
    c.attention.chunk = 64;
    c.model.layers = layers;
    return static_cast<double>(make_model(c)->costs().activation_bytes);
  };
  EXPECT_LT(bytes("reversible", 24), 1.3 * bytes("reversible", 2));
  EXPECT_GT(bytes("pre_norm", 24), 4 * bytes("pre_norm", 2));
}

TEST(Reformer, DropoutIsReplayed) {
  // A backward pass with another mask would take something else away from the streams than was added, and the gradient
  // of the first layer, behind 24 wrong ones, would have nothing to do with the loss.
  Config config = small();
  config.model.layers = 12;
  config.model.dropout = 0.2;
  Fixture f(config);
  const Doubles gradient = f.gradient();
  double before = 0;
  for (const float l : f.scores.losses) // in training, with the masks and buckets of this step
    before += static_cast<double>(l);
  before *= static_cast<double>(f.batch.loss_factor);
  const Parameter& p = f.model->parameters().all().front();
  double squares = 0;
  for (std::int64_t i = 0; i < p.size; ++i)
    squares += std::pow(gradient[static_cast<std::size_t>(p.offset + i)], 2);
  // Down the gradient of the token embedding by a small step.
  const double step = 2e-3 / std::sqrt(squares);
  std::vector<float> moved = f.values;
  for (std::int64_t i = 0; i < p.size; ++i)
    moved[static_cast<std::size_t>(p.offset + i)] -=
        static_cast<float>(step * gradient[static_cast<std::size_t>(p.offset + i)]);
  f.use(moved);
  f.gradient();
  double after = 0;
  for (const float l : f.scores.losses)
    after += static_cast<double>(l);
  after *= static_cast<double>(f.batch.loss_factor);
  EXPECT_NEAR((before - after) / (step * squares), 1, 0.1);
}

TEST(Reformer, BucketsOfTheForwardPassServeTheBackwardPass) {
  const std::int64_t S = 2, N = 64, D = 32;
  Config config = small();
  config.model.context = N;
  config.attention.buckets = {8};
  ParameterList list;
  Arena arena;
  Plan plan(list, arena, S, N, Recompute::block);
  const AttentionSetup sizes{D, 2, 16, 16, {Initialiser::normal, 0.2}, {Initialiser::normal, 0.2}};
  LshAttention<float> layer(plan, "", sizes, lsh_setup_of(config, sizes, 0, N));
  const Piece<float> x = plan.keep<float>("x", S * N * D), y = plan.keep<float>("y", S * N * D);
  arena.allocate();
  std::vector<float> weights(static_cast<std::size_t>(list.extent()));
  initialise(weights.data(), list, 1);
  Buffer<float> on_device(list.extent(), "weights");
  copy_to_device(on_device.data(), weights.data(), on_device.bytes());
  Pass<float>::Source source(arena, list);
  source.weights = on_device.data();
  source.sequences = S;
  source.length = N;
  const Pass<float> p(source);
  int buckets = -1;
  for (std::size_t i = 0; i < arena.pieces().size(); ++i)
    buckets = arena.pieces()[i].name == "buckets" ? static_cast<int>(i) : buckets;
  ASSERT_GE(buckets, 0);
  const auto hashed = [&](double noise, bool again) {
    Doubles rows = random_doubles(S * N * D, 1);
    const Doubles other = random_doubles(S * N * D, 2, noise);
    std::vector<float> moved;
    for (std::size_t i = 0; i < rows.size(); ++i)
      moved.push_back(static_cast<float>(rows[i] + other[i]));
    copy_to_device(p(x), moved.data(), moved.size() * sizeof(float));
    again ? layer.forward_again(p, p(y), p(x)) : layer.forward(p, p(y), p(x));
    std::vector<int> host(static_cast<std::size_t>(S * N * 2 * config.attention.rounds));
    copy_to_host(host.data(), arena.at<int>(buckets), host.size() * sizeof(int));
    return host;
  };
  const std::vector<int> first = hashed(0, false);
  EXPECT_EQ(hashed(0.5, true), first); // far more than rounding
  EXPECT_NE(hashed(0.5, false), first);
}

TEST(Reformer, LowPrecisionStaysClose) {
  for (const char* stream : streams)
    for (const char* precision : {"bf16", "fp16"}) {
      Config config = small(stream, "dense");
      Fixture single(config);
      config.run.precision = precision;
      Fixture low(config);
      EXPECT_AT_MOST(relative_error(low.logits(), single.logits()), 3e-2) << stream << precision;
      EXPECT_AT_MOST(relative_error(low.gradient(), single.gradient()), 6e-2) << stream << precision;
    }
}

TEST(Reformer, ASlotThatHoldsItsTokenPredictsTheNextOne) {
  Config config = small("post_norm", "dense");
  config.data.task = "copy";
  for (const char* scoring : {"paper", "reproduction"}) {
    config.data.scoring = scoring;
    Fixture f(config);
    const Doubles before = f.logits();
    const std::int64_t j = 40, V = config.model.vocabulary;
    f.tokens[j] = static_cast<std::uint16_t>((f.tokens[j] + 1) % V);
    const Doubles after = f.logits();
    const auto moved = [&](std::int64_t i) {
      return std::memcmp(&before[static_cast<std::size_t>(i * V)], &after[static_cast<std::size_t>(i * V)],
                         static_cast<std::size_t>(V) * sizeof(double)) != 0;
    };
    const std::int64_t first = config.data.scoring == "paper" ? j + 1 : j;
    for (std::int64_t i = 0; i < config.model.context; ++i)
      EXPECT_EQ(moved(i), i >= first) << scoring << " " << i;
  }
}

TEST(Reformer, CannotBeSampledFrom) {
  Fixture f(small());
  EXPECT_THROW(f.model->decoder(f.values.data(), 1, 8), InputError);
}

} // namespace
