#include "model/families/arena.hpp"
#include "config/keys.hpp"
#include "config/patterns.hpp"
#include "config/resolved.hpp"
#include "io/error.hpp"
#include "model/families/axial.hpp"
#include "model/families/classifier.hpp"
#include "model/sampling/decoder.hpp"
#include "model/storage.hpp"
#include <algorithm>
#include <bit>
#include <cmath>
#include <fmt/format.h>

namespace weft {

namespace {

/// The encoder of the Nystromformer's code, and of the two of the transformers library (arena.hpp).
bool nystromformer(const Config& c) { return c.model.code == "nystromformer"; }
bool bert(const Config& c) { return c.model.code == "bert"; }
bool gpt2(const Config& c) { return c.model.code == "gpt2"; }
constexpr double small_deviation = 0.02;

float epsilon_of(const Config& c) { return bert(c) ? 1e-12f : nystromformer(c) || gpt2(c) ? 1e-5f : 1e-6f; }

bool among(const std::string& word, const std::vector<std::string>& words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

/// The CLS vector's key bit; none: there is no such vector. Documents of a pair have none: their first token serves.
std::optional<FrontBit> front_of(const Config& c) {
  if (slots_in_front(c) == 0)
    return std::nullopt;
  return c.attention.form == "lra" ? FrontBit::as_first_token : FrontBit::always;
}

EmbeddingSetup embedding_of(const Config& c) {
  EmbeddingSetup setup{c.model.width, c.model.vocabulary};
  setup.slots = front_of(c) ? Slots::front : Slots::plain;
  if (c.model.positions == "learned")
    setup.position_tables = {c.model.context + (front_of(c) ? 1 : 0)};
  if (c.model.positions == "axial")
    use_axial_positions(setup, c);
  setup.sinusoid = c.model.positions == "sinusoid";
  setup.token = token_start(c, c.model.code == "lra" ? 1.0 : small_deviation);
  setup.position = {Initialiser::normal, small_deviation};
  if (bert(c)) {
    setup.start = {Initialiser::normal, small_deviation}; // CLS is a token there
    setup.norm_epsilon = epsilon_of(c);
  }
  setup.dropout = static_cast<float>(c.model.dropout);
  return setup;
}

/// In the released code padded queries differ, the CLS vector too where the first token is padding: they see all
/// positions alike, or give zeros (BigBird). A mean over the real rows reads none of them.
bool special_padding(const Config& c) { return c.attention.form == "lra" && c.model.pooling != "mean"; }

/// Whether the number of padded positions moves the logits, so that micro-batches are never cut short: a mean over all
/// rows, and released forms that mask no padding, order rows by the length for want of a transpose, or have sets that
/// depend on it.
bool reads_padding(const Config& c) {
  const bool lra = c.attention.form == "lra";
  const bool unmasked =
      among(c.attention.pattern, {"linformer", "lsh", "linear", "performer"}) ||
      (c.attention.pattern == "synthesizer" && (!c.attention.dot_product || c.attention.mode == "dense"));
  const bool sets_of_length = among(c.attention.pattern, {"local", "sinkhorn"});
  return c.model.pooling == "mean_all" || (lra && (unmasked || sets_of_length));
}

/// Xavier's uniform numbers for a matrix.
Initial xavier(std::int64_t inputs, std::int64_t outputs) {
  return {Initialiser::uniform, std::sqrt(6.0 / static_cast<double>(inputs + outputs))};
}

/// Of the transformers library: N(0, 0.02), and in GPT-2 less at the end of a branch.
Initial small_start(const Config& c, bool ends) {
  return {Initialiser::normal,
          ends && gpt2(c) ? small_deviation / std::sqrt(2 * static_cast<double>(c.model.layers)) : small_deviation};
}

/// What a dense layer of torch begins with, weights and biases.
Initial torch_uniform(std::int64_t inputs) {
  return {Initialiser::uniform, 1 / std::sqrt(static_cast<double>(inputs))};
}

/// The released code's Reformer: it ignores attention.width and attention.dropout.
bool released_lsh(const Config& c) { return c.attention.form == "lra" && c.attention.pattern == "lsh"; }

AttentionSetup attention_of(const Config& c) {
  const bool own = c.attention.width > 0 && !released_lsh(c);
  const std::int64_t D = c.model.width, wide = own ? c.attention.width : D, E = wide / c.model.heads;
  AttentionSetup setup{D, c.model.heads, E, E, xavier(D, wide), xavier(wide, D)};
  setup.biases = c.model.code != "lra";
  if (bert(c) || gpt2(c)) {
    setup.qkv = small_start(c, false);
    setup.out = small_start(c, true);
  }
  if (nystromformer(c)) {
    setup.qkv = setup.qkv_bias = torch_uniform(D);
    setup.out = setup.out_bias = torch_uniform(wide);
  }
  setup.dropout = static_cast<float>(c.attention.dropout);
  setup.padded_zero = special_padding(c) && c.attention.pattern == "bigbird";
  setup.padded_rows = special_padding(c) && !setup.padded_zero;
  return setup;
}

std::int64_t hidden_width(const Config& c) { return c.model.feedforward > 0 ? c.model.feedforward : 4 * c.model.width; }

/// Of the two codes of the transformers library.
Activation activation_of(const Config& c) {
  return gpt2(c) || c.attention.pattern == "bigbird" ? Activation::gelu_tanh : Activation::gelu;
}

FeedForwardSetup feed_forward_of(const Config& c) {
  const std::int64_t D = c.model.width, F = hidden_width(c);
  const auto dropout = static_cast<float>(c.model.dropout);
  const Initial small{Initialiser::normal, 1e-6}, in = torch_uniform(D), out = torch_uniform(F);
  if (nystromformer(c))
    return {D, F, in, out, in, out, Activation::gelu, dropout};
  if (bert(c) || gpt2(c)) // no dropout between the two maps
    return {D, F, small_start(c, false), small_start(c, true), {}, {}, activation_of(c)};
  return {D, F, xavier(D, F), xavier(F, D), small, small, Activation::gelu_tanh, dropout};
}

std::optional<PairFeatures> features_of(const Config& c) {
  if (!pairs_of(c))
    return std::nullopt;
  return c.model.pair_features == "four" ? PairFeatures::four : PairFeatures::both;
}

/// One hidden layer, and none in the released code's Sinkhorn transformer; for the two vectors of a pair side by side a
/// second one of half its width, as the released code has it, and for four features one, as the paper has it.
ClassSetup head_of(const Config& c) {
  if (c.model.head == "pooler") {
    ClassSetup setup =
        pooler(c, bert(c) && c.attention.pattern == "bigbird" ? Activation::gelu_tanh : Activation::tanh);
    setup.pairs = features_of(c);
    return setup;
  }
  const std::int64_t F = c.model.head_width > 0 ? c.model.head_width : hidden_width(c);
  ClassSetup setup{c.model.width, pooling_kind(c.model.pooling), std::nullopt, {F}, c.model.classes};
  setup.proximity = proximity_of(c);
  setup.pairs = features_of(c);
  if (gpt2(c)) { // one map
    setup.hidden.clear();
    setup.start = ClassStart::small;
    setup.last_bias = false;
    return setup;
  }
  if (nystromformer(c)) { // its rows are padded to a power of two
    setup.divisor = static_cast<float>(std::bit_ceil(static_cast<std::uint64_t>(c.model.context)));
    setup.start = ClassStart::torch;
  }
  if (pairs_of(c)) {
    if (setup.pairs == PairFeatures::both)
      setup.hidden.push_back(F / 2);
  } else if (c.attention.form == "lra" && c.attention.pattern == "sinkhorn") {
    setup.hidden.clear();
  }
  return setup;
}

/// Throws InputError for what the released code computes otherwise and this family does not have.
const Config& supported(const Config& c) {
  if (c.attention.form == "lra" && !has_released_form(pattern_row(c.attention.pattern)))
    throw InputError("got attention.form = \"lra\" with attention.pattern = \"" + c.attention.pattern +
                     "\", of which the released code's form is not there; take form = \"paper\"");
  return c;
}

ChainSetup chain_of(const Config& c) {
  const float epsilon = epsilon_of(c);
  ChainSetup setup{c.model.layers,  embedding_of(c),
                   attention_of(c), feed_forward_of(c),
                   c.model.stream,  static_cast<float>(c.model.dropout),
                   epsilon,         epsilon};
  setup.final_norm = c.model.final_norm;
  return setup;
}
} // namespace

template <class T>
ArenaEncoder<T>::ArenaEncoder(const Config& config)
    : Chain<T, ClassHead<T>>(supported(config), sequences_of(config), front_of(config), chain_of(config),
                             head_of(config)),
      variable_(!reads_padding(config)) {}

template <class T>
std::unique_ptr<Decoder> ArenaEncoder<T>::decoder(const float* /*weights*/, std::int64_t /*samples*/,
                                                  std::int64_t /*length*/) const {
  refuse_sampling("arena");
}

WEFT_FOR_STORAGE_TYPES(ArenaEncoder);

} // namespace weft
