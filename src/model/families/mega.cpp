#include "model/families/mega.hpp"
#include "config/families.hpp"
#include "model/families/classifier.hpp"
#include "model/layers/ema_attention.hpp"
#include "model/sampling/chain_decoder.hpp"
#include "model/storage.hpp"
#include <cmath>

namespace weft {

namespace {
constexpr Weight token_embedding{0}; // the first tensor of the list
constexpr float norm_epsilon = 1e-5f;
bool causal(const Config& c) { return task_row(c.data.task).causal; }

std::int64_t hidden_width(const Config& c) { return c.model.feedforward > 0 ? c.model.feedforward : 2 * c.model.width; }

EmbeddingSetup embedding_of(const Config& c) {
  EmbeddingSetup setup = tokens_alone(c);
  setup.token = setup.start = token_start(c, 1 / std::sqrt(static_cast<double>(c.model.width)));
  if (c.model.input == "pixels" && !causal(c)) {
    setup.pixels = PixelSetup{static_cast<float>(c.model.pixel_mean), static_cast<float>(c.model.pixel_deviation)};
    setup.token = {Initialiser::normal, 1};
    setup.start = {Initialiser::normal, 0.1};
  }
  if (causal(c)) {
    setup.tied = c.model.tied_embedding;
    setup.slots = Slots::shifted;
  }
  return setup;
}

FeedForwardSetup feed_forward_of(const Config& c) {
  const Initial small{Initialiser::normal, 0.02};
  return {c.model.width, hidden_width(c), small, small, {}, {}, Activation::silu};
}

LanguageSetup language_of(const Config& c) {
  return {c.model.width, c.model.vocabulary, c.model.tied_embedding ? token_embedding : Weight{}};
}

ClassSetup head_of(const Config& c) {
  if (c.model.head == "pooler")
    return pooler(c, Activation::tanh);
  const std::int64_t F = c.model.head_width > 0 ? c.model.head_width : hidden_width(c);
  ClassSetup setup{c.model.width, pooling_kind(c.model.pooling), std::nullopt, {F}, c.model.classes};
  setup.proximity = proximity_of(c);
  setup.activation = Activation::gelu;
  setup.dropout = static_cast<float>(c.model.dropout);
  setup.start = ClassStart::xavier;
  setup.last_bias = false;
  if (pairs_of(c)) // the authors put the second document first
    setup.pairs = c.model.pair_features == "four" ? PairFeatures::four : PairFeatures::second_first;
  return setup;
}

ChainSetup chain_of(const Config& c) {
  ChainSetup setup{c.model.layers,     embedding_of(c), AttentionSetup{}, // its attention has a setup of its own
                   feed_forward_of(c), c.model.stream,  static_cast<float>(c.model.dropout),
                   norm_epsilon,       norm_epsilon};
  setup.norms = c.model.norm == "scale"   ? NormKind::scale
                : c.model.norm == "rms"   ? NormKind::rms
                : c.model.norm == "batch" ? NormKind::batch
                                          : NormKind::layer;
  setup.final_norm = c.model.final_norm;
  return setup;
}
} // namespace

EmaAttentionSetup ema_attention_of(const Config& c) {
  const auto& a = c.attention;
  const std::int64_t chunk = a.pattern == "dense" ? 0 : a.stride;
  const std::int64_t reach = a.bias == "none" ? 0 : chunk > 0 ? chunk : c.model.context;
  return {c.model.width,
          a.shared_width,
          a.value_width > 0 ? a.value_width : 2 * c.model.width,
          a.states,
          causal(c) ? 1 : 2,
          a.function == "laplace" ? std::optional(PointFunction::laplace)
          : a.function == "relu2" ? std::optional(PointFunction::squared_relu)
                                  : std::nullopt,
          reach,
          a.bias == "rotary",
          chunk,
          static_cast<float>(c.model.dropout),
          static_cast<float>(a.dropout)};
}

template <class T>
Mega<T>::Mega(const Config& config)
    : Chain<T, ClassHead<T>>(config, sequences_of(config), std::nullopt, chain_of(config), head_of(config)) {}

template <class T>
std::unique_ptr<Decoder> Mega<T>::decoder(const float* /*weights*/, std::int64_t /*samples*/,
                                          std::int64_t /*length*/) const {
  refuse_sampling("mega");
}

template <class T>
MegaLanguage<T>::MegaLanguage(const Config& config)
    : Chain<T, LanguageHead<T>>(config, config.training.micro_batch, std::nullopt, chain_of(config),
                                language_of(config)),
      config_(config) {}

template <class T>
std::unique_ptr<Decoder> MegaLanguage<T>::decoder(const float* weights, std::int64_t samples,
                                                  std::int64_t length) const {
  const RowSetup setup{this->parameters(), weights, samples, length};
  return std::make_unique<ChainDecoder<T>>(config_, setup, this->embedding_, *this->stream_, this->head_);
}

WEFT_FOR_STORAGE_TYPES(Mega);
WEFT_FOR_STORAGE_TYPES(MegaLanguage);

} // namespace weft
