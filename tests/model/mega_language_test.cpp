// MEGA as a model of the next token: counts, causality, gradients, chunks, low precision.
#include "config/config.hpp"
#include "io/error.hpp"
#include "model/sampling/decoder.hpp"
#include "tests/model/language_fixture.hpp"
#include "tests/model/mega_fixture.hpp"
#include <gtest/gtest.h>

using namespace weft;
using namespace weft::testing;

namespace {

struct Setting {
  const char *pattern, *stream, *norm;
  bool tied = false;
  std::int64_t values = 20;
  const char* function = "softmax";
};
const Setting settings[] = {{"dense", "pre_norm", "layer"},
                            {"chunk", "pre_norm", "layer", true},
                            {"chunk", "post_norm", "scale"},
                            {"chunk", "pre_norm", "scale", false, 300},
                            {"chunk", "pre_norm", "layer", false, 20, "laplace"},
                            {"dense", "post_norm", "layer", true, 20, "relu2"}};
std::ostream& operator<<(std::ostream& out, const Setting& s) {
  return out << s.pattern << " " << s.stream << " " << s.norm << " " << s.tied << " " << s.values << " " << s.function;
}

Config config_of(const Setting& s) {
  Config c = language_config(2, 24, 1, 70, s.pattern);
  make_mega(c, s.pattern, s.stream, s.norm, s.function, s.values);
  c.model.vocabulary = c.model.feedforward = 40;
  c.model.tied_embedding = s.tied;
  c.attention.stride = 16;
  c.attention.bias = s.tied ? "rotary" : "simple";
  c.training.micro_batch = 2;
  return c;
}

TEST(MegaLanguage, HasTheParametersOfThePapersEnwik8) {
  Config c = language_config(12, 512, 1, 8192, "chunk");
  c.model.family = "mega";
  c.model.feedforward = 1024;
  c.model.tied_embedding = true;
  c.model.positions = "none";
  c.attention.stride = 2048;
  c.attention.shared_width = 128;
  c.attention.bias = "rotary";
  c.training.micro_batch = 1;
  const std::int64_t D = 512, V = 1024, F = 1024, Z = 128, mixed = 2 * D + Z + V;
  const std::int64_t attention = D * V + V + 4 * D * 16 + D + D * mixed + mixed + 6 * Z + V * D + D;
  const std::int64_t block = attention + 2 * D * F + F + D + 4 * D;
  EXPECT_EQ(make_model(c)->parameters().count(), 12 * block + 256 * D + D + 2 * D);
}

TEST(MegaLanguage, NeverLeaksTheFuture) {
  for (const Setting& s : settings) {
    LanguageFixture f(config_of(s));
    stretch(f);
    const Doubles before = f.logits();
    const std::int64_t N = f.config.model.context, V = f.config.model.vocabulary;
    for (std::int64_t j : {0, 1, 14, 15, 16, 17, 31, 32, 33, 47, 48, 63, 64, 65, 68, 69}) {
      f.tokens[static_cast<std::size_t>(j)] ^= 1;
      const Doubles after = f.logits();
      f.tokens[static_cast<std::size_t>(j)] ^= 1;
      for (std::int64_t k = 0; k < (j + 1) * V; ++k)
        ASSERT_EQ(before[static_cast<std::size_t>(k)], after[static_cast<std::size_t>(k)])
            << s << ": token " << j << " moves slot " << k / V;
      // The averages carry every token to all that follow, over the borders of chunks too.
      for (std::int64_t slot = j + 1; slot < std::min(N, j + 20); ++slot) {
        bool moved = false;
        for (std::int64_t k = slot * V; k < (slot + 1) * V && !moved; ++k)
          moved = before[static_cast<std::size_t>(k)] != after[static_cast<std::size_t>(k)];
        EXPECT_TRUE(moved) << s << ": token " << j << " does not reach slot " << slot;
      }
    }
  }
}

TEST(MegaLanguage, GradientIsThatOfTheLossAlongRandomDirections) {
  for (const Setting& s : settings) {
    LanguageFixture f(config_of(s));
    stretch(f);
    const Doubles gradient = f.gradient();
    for (const Parameter& p : f.model->parameters().all())
      if (p.name.find("key.shift") == std::string::npos ||
          s.function != std::string("softmax")) { // moves all scores of a query alike: 0 but for rounding
        const bool weak = p.name.find("query") != std::string::npos; // moves the loss little
        EXPECT_AT_MOST(f.error_along(p, gradient, weak ? 2e-2 : 5e-3), 2e-2) << s << " " << p.name;
      }
  }
}

TEST(MegaLanguage, OneChunkIsAllPositions) {
  Config config = config_of({"dense", "pre_norm", "layer"});
  LanguageFixture dense(config);
  config.attention.pattern = "chunk";
  config.attention.stride = config.model.context;
  LanguageFixture chunk(config);
  EXPECT_EQ(dense.logits(), chunk.logits());
  EXPECT_EQ(dense.gradient(), chunk.gradient());
}

TEST(MegaLanguage, SlicesOfValuesAreOneAttention) {
  // Values of 300 in two slices, and the same ones where the maps behind the second slice are 0: as one slice alone.
  LanguageFixture wide(config_of({"chunk", "pre_norm", "layer", false, 300}));
  LanguageFixture narrow(config_of({"chunk", "pre_norm", "layer", false, 150}));
  const auto find = [](const LanguageFixture& f, const std::string& name) -> const Parameter& {
    for (const Parameter& p : f.model->parameters().all())
      if (p.name == name)
        return p;
    throw std::logic_error(name);
  };
  const std::int64_t D = 24, Z = 12;
  for (const Parameter& p : wide.model->parameters().all()) {
    const Parameter& half = find(narrow, p.name);
    float *all = wide.values.data() + p.offset, *first = narrow.values.data() + half.offset;
    const bool out = p.name.find("attention.out.weight") != std::string::npos;
    const std::int64_t columns = p.shape.back(), kept = half.shape.back();
    for (std::int64_t at = 0; at < p.size; ++at) {
      const std::int64_t row = at / columns, column = at % columns;
      if (out && row >= 150) {
        all[at] = 0;
      } else if (columns == 300) {
        if (column < 150)
          first[row * kept + column] = all[at];
      } else if (columns == 2 * D + Z + 300) { // u | z | r | h
        const std::int64_t to = column < D + Z + 150 ? column : column - 150;
        if (column < D + Z + 150 || column >= D + Z + 300)
          first[row * kept + to] = all[at];
      } else {
        first[at] = all[at];
      }
    }
  }
  wide.use(wide.values);
  narrow.use(narrow.values);
  const Doubles one = wide.logits(), other = narrow.logits();
  for (std::size_t i = 0; i < one.size(); ++i)
    ASSERT_NEAR(one[i], other[i], 2e-5) << i;
}

TEST(MegaLanguage, GradientsAreAnnouncedFromTheEndAndFinal) {
  for (const Setting& s : settings)
    LanguageFixture(config_of(s)).expect_gradients_from_the_end();
}

TEST(MegaLanguage, LowPrecisionStaysClose) {
  for (const Setting& s : settings)
    for (const char* precision : {"bf16", "fp16"}) {
      Config config = config_of(s);
      LanguageFixture single(config);
      config.run.precision = precision;
      LanguageFixture low(config);
      EXPECT_AT_MOST(relative_error(low.gradient(), single.gradient()), precision == std::string("bf16") ? 4e-2 : 4e-3)
          << s << " " << precision;
    }
}

/// (samples, N, V): slot by slot, of the sequences from `first` on.
std::vector<float> stepped(const LanguageFixture& f, Decoder& decoder, std::int64_t first = 0) {
  const std::int64_t S = decoder.samples(), N = f.config.model.context, V = f.config.model.vocabulary;
  std::vector<float> all(static_cast<std::size_t>(S * N * V)), row(static_cast<std::size_t>(S * V));
  std::vector<std::uint16_t> previous(static_cast<std::size_t>(S), 0);
  decoder.restart();
  for (std::int64_t i = 0; i < N; ++i) {
    decoder.step(previous.data(), row.data());
    for (std::int64_t s = 0; s < S; ++s) {
      std::copy_n(row.begin() + s * V, V, all.begin() + (s * N + i) * V);
      previous[static_cast<std::size_t>(s)] = f.tokens[static_cast<std::size_t>((first + s) * N + i)];
    }
  }
  return all;
}

TEST(MegaLanguage, StepsGiveTheLogitsOfTheForwardPass) {
  std::vector<Setting> all(std::begin(settings), std::end(settings));
  all.push_back({"chunk", "post_norm", "rms", true, 20, "laplace"});
  for (const Setting& s : all)
    for (const char* precision : {"fp32", "bf16"}) {
      Config config = config_of(s);
      config.run.precision = precision;
      LanguageFixture f(config);
      stretch(f);
      const Doubles want = f.logits();
      const auto decoder = make_decoder(*f.model, config, f.flat.data(), 2, config.model.context);
      const std::vector<float> got = stepped(f, *decoder);
      EXPECT_AT_MOST(relative_error(Doubles(got.begin(), got.end()), want),
                     precision == std::string("fp32") ? 1e-5 : 2e-2)
          << s << " " << precision;
      EXPECT_EQ(decoder->cache_bytes(), decoder_cache_bytes(config, 2, config.model.context)) << s;
      EXPECT_EQ(stepped(f, *decoder), got) << s << ": a start leaves nothing of what was before";
      const auto alone = make_decoder(*f.model, config, f.flat.data(), 1, config.model.context);
      const std::vector<float> second = stepped(f, *alone, 1);
      EXPECT_TRUE(std::equal(second.begin(), second.end(), got.begin() + static_cast<std::ptrdiff_t>(second.size())))
          << s << ": what a sample is depends on the one beside it";
    }
}

} // namespace
