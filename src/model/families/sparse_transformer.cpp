#include "model/families/sparse_transformer.hpp"
#include "config/families.hpp"
#include "config/resolved.hpp"
#include "model/storage.hpp"
#include <cmath>

namespace weft {

namespace {
constexpr Weight token_embedding{0};                          // the first tensor of the list
constexpr float block_epsilon = 1e-5f, final_epsilon = 1e-6f; // of the layer norms

/// Section 5.3: the token, and a sum of position tables, with small initial numbers.
EmbeddingSetup embedding_of(const Config& c) {
  const double D = static_cast<double>(c.model.width);
  const std::vector<std::int64_t> tables = position_tables(c);
  EmbeddingSetup setup{c.model.width, c.model.vocabulary};
  setup.tied = c.model.tied_embedding;
  setup.slots = slots_hold_their_token(c) ? Slots::plain : Slots::shifted;
  setup.position_tables = tables;
  setup.token = setup.start = {Initialiser::normal, c.model.embedding_scale / std::sqrt(D)};
  setup.position = {Initialiser::normal, c.model.position_scale / std::sqrt(D * static_cast<double>(tables.size()))};
  return setup;
}

/// A matrix: variance weight_scale / inputs. The two that write to the stream additionally have 1/sqrt(2L).
double std_of(const Config& c, std::int64_t inputs) {
  return std::sqrt(c.model.weight_scale / static_cast<double>(inputs));
}
Initial matrix(const Config& c, std::int64_t inputs) { return {Initialiser::normal, std_of(c, inputs)}; }
Initial last_matrix(const Config& c, std::int64_t inputs) {
  const double residual = 1 / std::sqrt(2.0 * static_cast<double>(c.model.layers));
  return {Initialiser::normal, std_of(c, inputs) * residual};
}

/// half_size: queries and keys half as wide, and the feed-forward layer (section 7.1).
AttentionSetup attention_of(const Config& c) {
  const std::int64_t D = c.model.width, H = c.model.heads;
  return {D, H, (c.model.half_size ? D / 2 : D) / H, D / H, matrix(c, D), last_matrix(c, D)};
}
FeedForwardSetup feed_forward_of(const Config& c) {
  const std::int64_t D = c.model.width, F = c.model.half_size ? 2 * D : 4 * D;
  return {D, F, matrix(c, D), last_matrix(c, F)};
}

LanguageSetup head_of(const Config& c) {
  return {c.model.width, c.model.vocabulary, c.model.tied_embedding ? token_embedding : Weight{}};
}

ChainSetup chain_of(const Config& c) {
  return {c.model.layers,     embedding_of(c), attention_of(c),
          feed_forward_of(c), "pre_norm",      static_cast<float>(c.model.dropout),
          block_epsilon,      final_epsilon};
}
} // namespace

template <class T>
SparseTransformer<T>::SparseTransformer(const Config& config)
    : LanguageChain<T>(config, chain_of(config), head_of(config)) {}

WEFT_FOR_STORAGE_TYPES(SparseTransformer);

} // namespace weft
