// Promise: slot by slot over the cache gives the logits of the training-time forward pass, for every pattern and
// combination; a sample's bits do not depend on the samples beside it.
#include "io/error.hpp"
#include "model/families/sparse_transformer.hpp"
#include "model/model.hpp"
#include "model/sampling/decoder.hpp"
#include "tests/model/language_fixture.hpp"
#include <algorithm>
#include <gtest/gtest.h>

using namespace weft;
using namespace weft::testing;

namespace {

/// Sizes that fill neither a tile, a strip, a vector nor a piece of keys.
Config small(const std::string& pattern, std::vector<std::string> combination = {"merged"}) {
  Config c = language_config(3, 48, 4, 83, pattern);
  c.model.vocabulary = 77;
  c.attention.stride = 12;
  c.attention.summary = 3;
  c.attention.combination = std::move(combination);
  c.training.micro_batch = 3;
  if (pattern == "longformer") {
    c.attention.window = 6;
    c.attention.dilation = 2;
  }
  return c;
}

struct Fixture {
  explicit Fixture(const Config& config) : config(config), model(make_model(config)), flat(parameters(), "weights") {
    std::vector<float> values(static_cast<std::size_t>(parameters()));
    initialise(values.data(), model->parameters(), 1);
    const Doubles noise = random_doubles(parameters(), 5, 0.15); // far from uniform attention
    for (std::size_t i = 0; i < values.size(); ++i)
      values[i] += static_cast<float>(noise[i]);
    copy_to_device(flat.data(), values.data(), flat.bytes());
    std::mt19937 generator(2);
    for (std::int64_t i = 0; i < B() * N(); ++i)
      tokens.push_back(static_cast<std::uint16_t>(generator() % static_cast<unsigned>(V())));
  }
  std::int64_t parameters() const { return model->parameters().extent(); }
  std::int64_t B() const { return config.training.micro_batch; }
  std::int64_t N() const { return config.model.context; }
  std::int64_t V() const { return config.model.vocabulary; }

  Doubles forward() {
    model->allocate();
    model->use_weights(flat.data());
    Batch batch;
    batch.tokens = batch.targets = tokens.data();
    batch.length = N();
    Scores scores;
    model->forward(batch, scores);
    std::vector<float> logits(static_cast<std::size_t>(B() * N() * V()));
    model->copy_logits(logits.data());
    return Doubles(logits.begin(), logits.end());
  }
  std::unique_ptr<Decoder> decoder(std::int64_t samples, std::int64_t length) {
    return make_decoder(*model, config, flat.data(), samples, length);
  }
  /// (samples, length, V) of the sequences [first, first + samples).
  std::vector<float> stepped(Decoder& decoder, std::int64_t first = 0) {
    const std::int64_t S = decoder.samples(), n = decoder.length();
    std::vector<float> all(static_cast<std::size_t>(S * n * V())), row(static_cast<std::size_t>(S * V()));
    std::vector<std::uint16_t> previous(static_cast<std::size_t>(S), 0);
    decoder.restart();
    for (std::int64_t i = 0; i < n; ++i) {
      decoder.step(previous.data(), row.data());
      for (std::int64_t s = 0; s < S; ++s) {
        std::copy_n(row.begin() + s * V(), V(), all.begin() + (s * n + i) * V());
        previous[static_cast<std::size_t>(s)] = tokens[static_cast<std::size_t>((first + s) * N() + i)];
      }
    }
    return all;
  }

  Config config;
  std::unique_ptr<Model> model;
  Buffer<float> flat;
  std::vector<std::uint16_t> tokens;
};

Doubles doubles(const std::vector<float>& x) { return Doubles(x.begin(), x.end()); }

/// The largest difference of two logits over the largest logit; NaN where either holds one.
double largest_error(const Doubles& got, const Doubles& want) {
  double error = 0, size = 0;
  for (std::size_t i = 0; i < want.size(); ++i) {
    const double e = std::abs(got[i] - want[i]);
    error = e <= error ? error : e;
    if (std::isnan(e))
      return NAN;
    size = std::max(size, std::abs(want[i]));
  }
  return got.size() == want.size() ? error / size : INFINITY;
}

struct Case {
  const char* pattern;
  std::vector<std::string> combination;
  bool shared = false;
};

const std::vector<Case>& cases() {
  static const std::vector<Case> all = {{"dense", {"merged"}},
                                        {"local", {"merged"}},
                                        {"local", {"local", "dense"}},
                                        {"strided", {"merged"}},
                                        {"strided", {"interleaved"}},
                                        {"strided", {"heads"}},
                                        {"strided", {"strided", "local", "local", "local"}},
                                        {"fixed", {"merged"}},
                                        {"fixed", {"merged"}, true},
                                        {"fixed", {"interleaved"}},
                                        {"fixed", {"interleaved"}, true},
                                        {"fixed", {"heads"}},
                                        {"fixed", {"block"}},
                                        {"fixed", {"summary"}},
                                        {"fixed", {"summary", "merged", "dense"}, true},
                                        {"sparse", {"merged"}},
                                        {"longformer", {"merged"}},
                                        {"longformer", {"longformer", "dense"}}};
  return all;
}

std::string text_of(const Case& c) {
  std::string text = c.pattern;
  for (const std::string& entry : c.combination)
    text += " " + entry;
  return text + (c.shared ? " shared" : "");
}

TEST(Decoder, StepsGiveTheLogitsOfTheForwardPassForEveryPattern) {
  for (const Case& c : cases())
    for (const bool half : {false, true}) {
      Config config = small(c.pattern, c.combination);
      config.attention.shared_summary = c.shared;
      config.model.half_size = half;
      Fixture f(config);
      const auto decoder = f.decoder(3, 83);
      EXPECT_AT_MOST(largest_error(doubles(f.stepped(*decoder)), f.forward()), 1e-4) << text_of(c) << " half " << half;
    }
}

TEST(Decoder, ARunningStateGivesTheLogitsOfLinearAttention) {
  for (const char* pattern : {"linear", "performer"})
    for (const char* precision : {"fp32", "bf16", "fp16"})
      for (const bool half : {false, true}) {
        Config config = small(pattern);
        config.attention.kernel = "relu";
        config.model.half_size = half;
        Fixture single(config);
        const Doubles exact = single.forward();
        config.run.precision = precision;
        Fixture f(config);
        const auto decoder = f.decoder(3, 83);
        const std::vector<float> all = f.stepped(*decoder);
        const Doubles low = f.forward(), got = doubles(all);
        if (precision == std::string("fp32"))
          EXPECT_AT_MOST(largest_error(got, low), 1e-4) << pattern;
        else
          EXPECT_AT_MOST(relative_error(got, exact), 1.5 * relative_error(low, exact)) << pattern << " " << precision;
        EXPECT_EQ(f.stepped(*decoder), all) << "after a restart";
        const std::vector<float> one = f.stepped(*f.decoder(1, 70), 1);
        EXPECT_TRUE(std::equal(one.begin(), one.end(), all.begin() + 83 * f.V())) << "beside others";
        EXPECT_EQ(decoder->cache_bytes(), decoder_cache_bytes(config, 3, 83));
        EXPECT_EQ(decoder_cache_bytes(config, 3, 83), decoder_cache_bytes(config, 3, 10)) << "grows with the length";
      }
}

/// A Reformer, of which much is set: what its layers, norms and positions are.
Config reformer(const std::string& stream, const std::string& pattern) {
  Config config = small(pattern);
  config.model.family = "reformer";
  config.model.stream = stream;
  config.model.feedforward = 56;
  config.model.positions = "axial";
  config.model.position_shape = {9, 10};
  config.model.position_widths = {20, 28};
  config.model.tied_embedding = stream != "post_norm";
  config.model.feedforward_chunks = stream == "reversible" ? 4 : 1;
  return config;
}

/// The decoder's logits are those of the forward pass, and a sample's bits its own.
void expect_steps_like_the_forward_pass(const Config& config, const std::string& what) {
  Fixture f(config);
  const auto decoder = f.decoder(3, 83);
  const std::vector<float> all = f.stepped(*decoder);
  EXPECT_AT_MOST(largest_error(doubles(all), f.forward()), 1e-4) << what;
  const std::vector<float> one = f.stepped(*f.decoder(1, 70), 1);
  EXPECT_TRUE(std::equal(one.begin(), one.end(), all.begin() + 83 * f.V())) << what << ", beside others";
  EXPECT_EQ(decoder->cache_bytes(), decoder_cache_bytes(config, 3, 83)) << what;
}

TEST(Decoder, EveryStreamOfAReformerGivesTheLogitsOfTheForwardPass) {
  for (const char* stream : {"pre_norm", "post_norm", "reversible"})
    for (const char* pattern : {"dense", "fixed"})
      expect_steps_like_the_forward_pass(reformer(stream, pattern), std::string(stream) + " " + pattern);
}

TEST(Decoder, SharedQueriesAndKeysGiveTheLogitsOfTheForwardPass) {
  for (const char* family : {"reformer", "sparse_transformer"})
    for (const char* score : {"unit", "trax", "raw"})
      for (const char* self : {"last_resort", "seen"}) {
        Config config = family == std::string("reformer") ? reformer("reversible", "dense") : small("dense");
        config.attention.shared_qk = true;
        config.attention.score = score;
        config.attention.self = self;
        expect_steps_like_the_forward_pass(config, std::string(family) + " " + score + " " + self);
        const Fixture f(config);
        const std::unique_ptr<Decoder> decoder = make_decoder(*f.model, config, f.flat.data(), 1, 3);
        for (const int keys : {1, self == std::string("seen") ? 2 : 1, self == std::string("seen") ? 3 : 2}) {
          decoder->step(f.tokens.data(), nullptr);
          EXPECT_EQ(decoder->keys_seen(), 3 * 4 * keys) << self;
        }
      }
}

TEST(Decoder, AReformerInNarrowTypesIsAsCloseAsItsForwardPass) {
  for (const char* stream : {"pre_norm", "post_norm", "reversible"})
    for (const char* precision : {"bf16", "fp16"}) {
      Config config = reformer(stream, "dense");
      config.attention.shared_qk = true;
      Fixture single(config);
      const Doubles exact = single.forward();
      config.run.precision = precision;
      Fixture f(config);
      const Doubles low = f.forward(), got = doubles(f.stepped(*f.decoder(3, 83)));
      EXPECT_AT_MOST(relative_error(got, exact), 1.5 * relative_error(low, exact)) << stream << " " << precision;
    }
}

TEST(Decoder, HashBucketsAndSlotsThatHoldTheirTokenAreRefused) {
  Fixture hashed(reformer("reversible", "lsh"));
  EXPECT_THROW(hashed.decoder(1, 10), InputError);
  Config config = reformer("post_norm", "dense");
  config.data.task = "copy";
  config.data.scoring = "reproduction";
  Fixture plain(config);
  EXPECT_THROW(plain.decoder(1, 10), InputError);
}

TEST(Decoder, RandomFeaturesAreRefused) {
  Fixture f(small("performer"));
  EXPECT_THROW(f.decoder(1, 10), InputError);
}

TEST(Decoder, ATiedEmbeddingGivesTheLogitsOfTheForwardPass) {
  Config config = small("fixed");
  config.model.tied_embedding = true;
  Fixture f(config);
  const auto decoder = f.decoder(3, 83);
  EXPECT_AT_MOST(largest_error(doubles(f.stepped(*decoder)), f.forward()), 1e-4);
}

TEST(Decoder, StepsGiveTheLogitsOfTheForwardPassInBothNarrowTypes) {
  for (const Case& c : cases())
    for (const char* precision : {"bf16", "fp16"}) {
      Config config = small(c.pattern, c.combination);
      config.attention.shared_summary = c.shared;
      config.model.half_size = c.shared;
      Fixture single(config);
      const Doubles exact = single.forward();
      config.run.precision = precision;
      Fixture f(config);
      const Doubles low = f.forward(), got = doubles(f.stepped(*f.decoder(3, 83)));
      // Both round every activation; they may differ by as much as either differs from fp32.
      EXPECT_AT_MOST(relative_error(got, exact), 1.5 * relative_error(low, exact)) << text_of(c) << " " << precision;
      EXPECT_AT_MOST(relative_error(got, low), 1.5 * relative_error(low, exact)) << text_of(c) << " " << precision;
    }
}

TEST(Decoder, LongListsOfKeysAndPositionShapesAgreeToo) {
  Config config = small("strided");
  config.model.context = 3 * 300; // more than three pieces of keys
  config.model.position_shape = {15, 20, 3};
  config.model.width = 40;
  config.model.heads = 2;
  config.attention.stride = 60;
  config.training.micro_batch = 1;
  for (const char* pattern : {"strided", "dense"}) {
    config.attention.pattern = pattern;
    Fixture f(config);
    EXPECT_AT_MOST(largest_error(doubles(f.stepped(*f.decoder(1, 900))), f.forward()), 1e-4) << pattern;
  }
}

TEST(Decoder, BitsOfASampleDoNotDependOnTheOthersOrOnTheCapacity) {
  for (const char* precision : {"fp32", "bf16", "fp16"}) {
    Config config = small("fixed");
    config.run.precision = precision;
    Fixture f(config);
    const auto together = f.decoder(3, 70);
    const std::vector<float> all = f.stepped(*together);
    for (std::int64_t s = 0; s < 3; ++s) {
      const auto alone = f.decoder(1, 70);
      const std::vector<float> one = f.stepped(*alone, s);
      EXPECT_TRUE(std::equal(one.begin(), one.end(), all.begin() + s * 70 * f.V())) << precision << " " << s;
    }
    EXPECT_EQ(f.stepped(*together), all) << "after a restart";
  }
}

TEST(Decoder, LogitsThatNobodyAsksForChangeNothing) {
  Fixture f(small("strided"));
  const auto decoder = f.decoder(1, 83);
  const std::vector<float> all = f.stepped(*decoder);
  decoder->restart();
  std::vector<float> logits(static_cast<std::size_t>(f.V()));
  for (std::int64_t i = 0; i < 83; ++i)
    decoder->step(f.tokens.data() + (i > 0 ? i - 1 : 0), i == 82 ? logits.data() : nullptr);
  EXPECT_TRUE(std::equal(logits.begin(), logits.end(), all.end() - f.V()));
}

TEST(Decoder, ATokenCostsTheKeysOfItsPattern) {
  Config config = small("fixed");
  config.attention.shared_summary = true;
  Fixture f(config);
  const auto decoder = f.decoder(1, 83);
  for (std::int64_t i = 0; i < 83; ++i) {
    decoder->step(f.tokens.data(), nullptr);
    // The own block up to i, and the last 3 columns of every block before it.
    EXPECT_EQ(decoder->keys_seen(), 3 * 4 * (i % 12 + 1 + i / 12 * 3)) << i;
  }
  EXPECT_THROW(decoder->step(f.tokens.data(), nullptr), std::logic_error);
}

TEST(Decoder, LengthsBeyondTheContextAreRefused) {
  Fixture f(small("dense"));
  EXPECT_THROW(f.decoder(1, 84), InputError);
  EXPECT_THROW(f.decoder(1, 0), InputError);
  for (const char* precision : {"fp32", "bf16", "fp16"}) {
    Config config = small("dense");
    config.run.precision = precision;
    Fixture g(config);
    EXPECT_EQ(g.decoder(2, 83)->cache_bytes(), decoder_cache_bytes(config, 2, 83)) << precision;
  }
}

} // namespace
