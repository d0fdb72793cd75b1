#include "model/families/arena.hpp"
#include "config/keys.hpp"
#include "io/error.hpp"
#include "model/sampling/decoder.hpp"
#include "model/storage.hpp"
#include <algorithm>
#include <cmath>

namespace weft {

namespace {
constexpr float norm_epsilon = 1e-6f;

bool pairs_of(const Config& c) { return c.data.task == "pairs"; }

/// The CLS vector's key bit; none: there is no such vector. Documents of a pair have none: their first token serves.
std::optional<FrontBit> front_of(const Config& c) {
  if (c.model.pooling != "cls" || pairs_of(c))
    return std::nullopt;
  return c.attention.form == "lra" ? FrontBit::as_first_token : FrontBit::always;
}

EmbeddingSetup embedding_of(const Config& c) {
  EmbeddingSetup setup{c.model.width, c.model.vocabulary};
  setup.slots = front_of(c) ? Slots::front : Slots::plain;
  if (c.model.positions == "learned")
    setup.position_tables = {c.model.context + (front_of(c) ? 1 : 0)};
  setup.sinusoid = c.model.positions == "sinusoid";
  setup.token = {Initialiser::normal, 1.0};
  setup.position = {Initialiser::normal, 0.02};
  setup.dropout = static_cast<float>(c.model.dropout);
  return setup;
}

/// Sets that depend on the length, so that a micro-batch has to have the whole one.
bool sets_of_length(const Config& c) { return c.attention.form == "lra" && c.attention.pattern != "dense"; }

/// The released code's padded queries see all positions alike, the CLS vector too where the first token is padding. A
/// mean over the real rows reads none of them.
bool uniform_padding(const Config& c) { return c.attention.form == "lra" && c.model.pooling != "mean"; }

/// Xavier's uniform numbers for a matrix.
Initial xavier(std::int64_t inputs, std::int64_t outputs) {
  return {Initialiser::uniform, std::sqrt(6.0 / static_cast<double>(inputs + outputs))};
}

AttentionSetup attention_of(const Config& c) {
  const std::int64_t D = c.model.width, wide = c.attention.width > 0 ? c.attention.width : D, E = wide / c.model.heads;
  AttentionSetup setup{D, c.model.heads, E, E, xavier(D, wide), xavier(wide, D)};
  setup.biases = false;
  setup.dropout = static_cast<float>(c.attention.dropout);
  setup.padded_rows = uniform_padding(c);
  return setup;
}

std::int64_t hidden_width(const Config& c) { return c.model.feedforward > 0 ? c.model.feedforward : 4 * c.model.width; }

FeedForwardSetup feed_forward_of(const Config& c) {
  const std::int64_t D = c.model.width, F = hidden_width(c);
  return {D,
          F,
          xavier(D, F),
          xavier(F, D),
          {Initialiser::normal, 1e-6},
          Activation::gelu_tanh,
          static_cast<float>(c.model.dropout)};
}

/// One hidden layer, and none in the released code's Sinkhorn transformer; for the two vectors of a pair side by side a
/// second one of half its width, as the released code has it, and for four features one, as the paper has it.
ClassSetup head_of(const Config& c) {
  const std::int64_t F = c.model.head_width > 0 ? c.model.head_width : hidden_width(c);
  ClassSetup setup{c.model.width, pooling_kind(c.model.pooling), std::nullopt, {F}, c.model.classes};
  if (pairs_of(c)) {
    setup.pairs = c.model.pair_features == "four" ? PairFeatures::four : PairFeatures::both;
    if (setup.pairs == PairFeatures::both)
      setup.hidden.push_back(F / 2);
  } else if (c.attention.form == "lra" && c.attention.pattern == "sinkhorn") {
    setup.hidden.clear();
  }
  return setup;
}

/// Throws InputError for what the released code computes otherwise and this family does not have.
const Config& supported(const Config& c) {
  const std::vector<std::string> released = {"dense", "local", "sinkhorn"};
  if (c.attention.form == "lra" && std::find(released.begin(), released.end(), c.attention.pattern) == released.end())
    throw InputError("got attention.form = \"lra\" with attention.pattern = \"" + c.attention.pattern +
                     "\", expected one of " + joined(released, ", ") +
                     ": the released code's form of the others is not there; take form = \"paper\"");
  return c;
}

ChainSetup chain_of(const Config& c) {
  return {c.model.layers, embedding_of(c), attention_of(c), feed_forward_of(c), static_cast<float>(c.model.dropout),
          norm_epsilon,   norm_epsilon};
}
} // namespace

template <class T>
ArenaEncoder<T>::ArenaEncoder(const Config& config)
    : Chain<T, ClassHead<T>>(supported(config), config.training.micro_batch * (pairs_of(config) ? 2 : 1),
                             front_of(config), chain_of(config), head_of(config)),
      variable_(config.model.pooling != "mean_all" && !sets_of_length(config)) {}

template <class T>
std::unique_ptr<Decoder> ArenaEncoder<T>::decoder(const float* /*weights*/, std::int64_t /*samples*/,
                                                  std::int64_t /*length*/) const {
  throw InputError("got a classifier (model.family = \"arena\"), expected a model of the next token: only that can be "
                   "sampled from");
}

WEFT_FOR_STORAGE_TYPES(ArenaEncoder);

} // namespace weft
