// A small arena encoder with weights, padded rows and a loss, and the settings that its tests go through.
#pragma once
#include "io/error.hpp"
#include "kernels/common/memory.hpp"
#include "model/families/arena.hpp"
#include "model/key_bits.hpp"
#include "model/patterns.hpp"
#include "tests/model/directional.hpp"
#include <gtest/gtest.h>

namespace weft::testing {

inline void take_sizes(Config& c, std::int64_t layers, std::int64_t width, std::int64_t heads, std::int64_t feedforward,
                       std::int64_t context, std::int64_t vocabulary, std::int64_t classes) {
  c.model.layers = layers;
  c.model.width = width;
  c.model.heads = heads;
  c.model.feedforward = feedforward;
  c.model.context = context;
  c.model.vocabulary = vocabulary;
  c.model.classes = classes;
}

inline Config small(const std::string& pooling = "cls", const std::string& task = "classify") {
  Config c;
  c.data.task = task;
  c.model.family = "arena";
  take_sizes(c, 2, 24, 2, 40, 70, 40, 5);
  c.model.positions = "learned";
  c.model.pooling = pooling;
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

  /// Small steps: ReLU has kinks, more of them where features have some.
  double directional_error(const Parameter& p, const Doubles& gradient,
                           const std::function<bool(std::int64_t)>& takes = {}) {
    const double error = weft::testing::directional_error(
        p, gradient, values,
        config.attention.pattern == "linear" || config.attention.pattern == "performer" ? 5e-4
        : p.name.find("sort.in.bias") != std::string::npos                              ? 2e-2 // far from the loss
        : config.attention.mixture ? 3e-3 // half the slope, one number of all
                                   : 1e-3,
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
  const char *task, *pooling, *positions, *pattern, *features;
  const char* form = "paper";
  void (*also)(Config&) = nullptr; ///< further settings
};
inline void relu_kernel(Config& c) { c.attention.kernel = "relu"; }
inline void project(Config& c, std::int64_t projected, const char* sharing) {
  c.attention.projected = projected;
  c.attention.sharing = sharing;
}
inline void headwise(Config& c) { project(c, 20, "headwise"); }
inline void one_matrix(Config& c) { project(c, 16, "layerwise"); }
inline void a_matrix_per_head(Config& c) { project(c, 40, "per_head"); }
inline void released_linformer(Config& c) {
  c.attention.projected = 16;
  c.attention.form = "lra";
}
inline void random_scores(Config& c) { c.attention.mode = "random"; }
inline void released_synthesizer(Config& c) {
  c.attention.dot_product = true;
  c.attention.form = "lra";
}
inline void factorised_scores(Config& c) {
  c.attention.mode = "factorised_random";
  c.attention.rank = 3;
  c.attention.dot_product = true;
}
inline void dense_scores(Config& c) {
  c.attention.mode = "dense";
  c.attention.hidden = 6;
}
inline void factorised_dense_scores(Config& c) {
  c.attention.mode = "factorised_dense";
  c.attention.hidden = 6;
}
inline void factorised_dense_and_products(Config& c) {
  factorised_dense_scores(c);
  c.attention.dot_product = true;
}
inline void mixture(Config& c) {
  c.attention.dot_product = true;
  c.attention.mixture = true;
}
inline void mixed_factors(Config& c) {
  factorised_scores(c);
  mixture(c);
}
inline void mixed_dense_scores(Config& c) {
  dense_scores(c);
  mixture(c);
}
inline void released_dense_scores(Config& c) {
  c.attention.mode = "dense";
  c.attention.dot_product = true;
  c.attention.form = "lra";
}
inline void second_code(Config& c) { c.model.code = "nystromformer"; }
inline void second_codes_linformer(Config& c) {
  a_matrix_per_head(c);
  second_code(c);
}
const Case cases[] = {{"classify", "cls", "learned", "dense", "two"},
                      {"classify", "mean", "sinusoid", "dense", "two"},
                      {"classify", "mean_all", "none", "local", "two"},
                      {"classify", "attention", "learned", "local", "two"},
                      {"pairs", "cls", "sinusoid", "dense", "two"},
                      {"pairs", "mean", "learned", "local", "four"},
                      {"classify", "mean", "learned", "lsh", "two"},
                      {"classify", "cls", "sinusoid", "linformer", "two", "paper", headwise},
                      {"classify", "mean", "learned", "linformer", "two", "paper", one_matrix},
                      {"classify", "mean_all", "learned", "linformer", "two", "paper", a_matrix_per_head},
                      {"pairs", "cls", "sinusoid", "linformer", "two", "paper", released_linformer},
                      {"classify", "mean", "learned", "synthesizer", "two", "paper", random_scores},
                      {"classify", "cls", "learned", "synthesizer", "two", "paper", released_synthesizer},
                      {"classify", "mean_all", "learned", "synthesizer", "two", "paper", released_synthesizer},
                      {"pairs", "cls", "sinusoid", "synthesizer", "two", "paper", factorised_scores},
                      {"classify", "cls", "sinusoid", "synthesizer", "two", "paper", dense_scores},
                      {"classify", "mean", "learned", "synthesizer", "two", "paper", released_dense_scores},
                      {"classify", "mean", "learned", "synthesizer", "two", "paper", factorised_dense_scores},
                      {"classify", "cls", "sinusoid", "synthesizer", "two", "paper", factorised_dense_and_products},
                      {"classify", "cls", "learned", "synthesizer", "two", "paper", mixture},
                      {"pairs", "mean", "learned", "synthesizer", "two", "paper", mixed_factors},
                      {"classify", "mean", "sinusoid", "synthesizer", "two", "paper", mixed_dense_scores},
                      {"classify", "cls", "learned", "sparse", "two"},
                      {"classify", "mean", "sinusoid", "sparse", "two", "lra"},
                      {"pairs", "cls", "sinusoid", "sparse", "two", "lra"},
                      {"classify", "cls", "learned", "longformer", "two"},
                      {"pairs", "mean", "learned", "longformer", "four"},
                      {"classify", "mean_all", "none", "longformer", "two", "lra"},
                      {"classify", "cls", "learned", "bigbird", "two"},
                      {"classify", "cls", "sinusoid", "bigbird", "two", "lra"},
                      {"classify", "mean_all", "learned", "bigbird", "two", "lra"},
                      {"classify", "mean", "learned", "dense", "two", "paper", second_code},
                      {"classify", "mean", "learned", "lsh", "two", "paper", second_code},
                      {"classify", "mean", "learned", "performer", "two", "paper", second_code},
                      {"pairs", "mean", "learned", "linformer", "four", "paper", second_codes_linformer},
                      {"classify", "cls", "learned", "linear", "two"},
                      {"pairs", "mean", "sinusoid", "linear", "two"},
                      {"classify", "cls", "learned", "performer", "two"},
                      {"classify", "mean_all", "none", "performer", "two"},
                      {"classify", "mean", "learned", "performer", "two", "paper", relu_kernel},
                      {"classify", "cls", "learned", "local", "two", "lra"},
                      {"classify", "mean", "sinusoid", "local", "two", "lra"},
                      {"classify", "mean", "learned", "sinkhorn", "two"},
                      {"classify", "cls", "sinusoid", "sinkhorn", "two"},
                      {"pairs", "mean_all", "sinusoid", "sinkhorn", "two"},
                      {"classify", "mean_all", "learned", "sinkhorn", "two", "lra"},
                      {"pairs", "cls", "sinusoid", "sinkhorn", "two", "lra"}};
inline bool released_sets(const Case& c) {
  return c.form == std::string("lra") && (c.pattern == std::string("local") || c.pattern == std::string("sinkhorn"));
}
inline std::ostream& operator<<(std::ostream& out, const Case& c) {
  return out << c.task << " " << c.pooling << " " << c.pattern << " " << c.form;
}

inline Config config_of(const Case& c) {
  Config config = small(c.pooling, c.task);
  config.model.positions = c.positions;
  config.attention.pattern = c.pattern;
  config.attention.buckets = {1}; // lsh: what is seen must not jump
  config.attention.chunk = 16;
  config.model.pair_features = c.features;
  config.attention.form = c.form;
  config.attention.summary = 4;
  if (c.pattern == std::string("longformer")) {
    config.attention.window = 10;
    config.attention.global = 2;
  }
  if (c.pattern == std::string("bigbird")) { // 18 blocks
    config.attention.stride = 4;
    config.attention.random = 1;
  }
  if (c.pattern == std::string("sinkhorn")) {
    config.attention.noise = false;   // the loss of an evaluation has none
    config.attention.temperature = 4; // no permutation, whose gradient is nothing
    config.model.context = released_sets(c) ? 64 : 70;
  }
  if (c.also)
    c.also(config);
  return config;
}

/// The Performer's gradient takes the stabiliser for a constant, which it is up to the features' epsilon.
inline bool held_stabiliser(const Config& c) {
  return c.attention.pattern == "performer" && c.attention.kernel == "softmax";
}

} // namespace weft::testing
