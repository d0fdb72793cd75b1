#include "model/families/reformer.hpp"
#include "config/families.hpp"
#include "config/resolved.hpp"
#include "model/families/axial.hpp"
#include "model/storage.hpp"
#include <cmath>

namespace weft {

namespace {
constexpr Weight token_embedding{0}; // the first tensor of the list
constexpr float norm_epsilon = 1e-5f;

/// Vectors of tokens begin short and are multiplied by sqrt(D).
EmbeddingSetup embedding_of(const Config& c) {
  const double D = static_cast<double>(c.model.width);
  EmbeddingSetup setup{c.model.width, c.model.vocabulary};
  setup.slots = slots_hold_their_token(c) ? Slots::plain : Slots::shifted;
  setup.tied = c.model.tied_embedding;
  setup.scale = static_cast<float>(std::sqrt(D));
  setup.token = setup.start = {Initialiser::truncated_normal, 1 / std::sqrt(D)};
  setup.position = {Initialiser::normal, 1.0};
  setup.sinusoid = c.model.positions == "sinusoid";
  if (c.model.positions == "learned")
    setup.position_tables = {c.model.context};
  if (c.model.positions == "axial")
    use_axial_positions(setup, c);
  return setup;
}

/// Glorot's uniform numbers for a matrix.
Initial glorot(std::int64_t inputs, std::int64_t outputs) {
  return {Initialiser::uniform, std::sqrt(6.0 / static_cast<double>(inputs + outputs))};
}

AttentionSetup attention_of(const Config& c) {
  const std::int64_t D = c.model.width, H = c.model.heads, E = D / H;
  AttentionSetup setup{D, H, E, E, glorot(D, D), glorot(D, D)};
  setup.biases = false;
  setup.dropout = c.attention.dropout > 0 ? static_cast<float>(c.attention.dropout) : -1;
  return setup;
}

FeedForwardSetup feed_forward_of(const Config& c) {
  const std::int64_t D = c.model.width, F = c.model.feedforward > 0 ? c.model.feedforward : 4 * D;
  return {D, F, glorot(D, F), glorot(F, D), {}, {}, Activation::gelu};
}

ChainSetup chain_of(const Config& c) {
  ChainSetup setup{c.model.layers,     embedding_of(c), attention_of(c),
                   feed_forward_of(c), c.model.stream,  static_cast<float>(c.model.dropout),
                   norm_epsilon,       norm_epsilon};
  setup.feed_forward_chunks = c.model.feedforward_chunks;
  return setup;
}

LanguageSetup head_of(const Config& c) {
  return {c.model.width, c.model.vocabulary, c.model.tied_embedding ? token_embedding : Weight{}, true,
          c.model.loss_chunks};
}
} // namespace

template <class T>
Reformer<T>::Reformer(const Config& config) : LanguageChain<T>(config, chain_of(config), head_of(config)) {}

WEFT_FOR_STORAGE_TYPES(Reformer);

} // namespace weft
