#include "model/families/sparse_transformer.hpp"
#include "config/resolved.hpp"
#include "model/layers/feed_forward.hpp"
#include "model/layers/self_attention.hpp"
#include "model/sampling/chain_decoder.hpp"
#include "model/storage.hpp"
#include <cmath>

namespace weft {

namespace {
constexpr float block_epsilon = 1e-5f, final_epsilon = 1e-6f; // of the layer norms

/// Section 5.3: the token, and a sum of position tables, with small initial numbers.
EmbeddingSetup embedding_of(const Config& c) {
  const double D = static_cast<double>(c.model.width);
  const std::vector<std::int64_t> tables = position_tables(c);
  EmbeddingSetup setup{c.model.width, c.model.vocabulary};
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
  return {D, F, matrix(c, D), last_matrix(c, F), {}};
}

/// L blocks, and the norm behind the last one.
template <class T>
PreNorm<T> blocks_of(Plan& plan, const Config& c, const AttentionPlans& patterns) {
  PreNorm<T> stream(plan, c.model.width, static_cast<float>(c.model.dropout));
  for (std::int64_t r = 0; r < c.model.layers; ++r) {
    const std::string block = block_name(r, c.model.layers);
    stream.block();
    stream.norm(block + "norm1", block, "input", "1", block_epsilon); // a = dropout(attention(norm1(H)))
    stream.add(std::make_unique<SelfAttention<T>>(plan, block, r, attention_of(c), patterns));
    stream.norm(block + "norm2", block, "middle", "2", block_epsilon); // b = dropout(feedforward(norm2(H + a)))
    stream.add(std::make_unique<FeedForward<T>>(plan, block, feed_forward_of(c)));
  }
  stream.end("norm", final_epsilon);
  return stream;
}
} // namespace

template <class T>
SparseTransformer<T>::SparseTransformer(const Config& config)
    : Program<T>(config, config.training.micro_batch, config.model.context), config_(config), patterns_(config),
      embedding_(plan_, embedding_of(config)), stream_(blocks_of<T>(plan_, config, patterns_)),
      head_(plan_, config.model.width, config.model.vocabulary) {
  plan_.tables(patterns_.bytes());
  this->plan_inputs();
}

template <class T>
void SparseTransformer<T>::run_forward(const Pass<T>& p) {
  embedding_.forward(p, stream_.entry(p));
  head_.forward(p, stream_.forward(p));
}

template <class T>
void SparseTransformer<T>::run_backward(const Pass<T>& p) {
  embedding_.backward(p, stream_.backward(p, head_.backward(p, stream_.out(p))));
}

template <class T>
std::unique_ptr<Decoder> SparseTransformer<T>::decoder(const float* weights, std::int64_t samples,
                                                       std::int64_t length) const {
  const RowSetup setup{this->parameters(), weights, samples, length};
  return std::make_unique<ChainDecoder<T>>(config_, setup, embedding_, stream_, head_);
}

WEFT_FOR_STORAGE_TYPES(SparseTransformer);

} // namespace weft
