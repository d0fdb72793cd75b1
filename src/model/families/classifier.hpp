// What families of classifiers share.
#pragma once
#include "config/config.hpp"
#include "io/error.hpp"
#include "model/heads/classes.hpp"
#include "model/layers/embedding.hpp"

namespace weft {

inline bool pairs_of(const Config& c) { return c.data.task == "pairs"; }

/// Of a micro-batch: the two documents of a pair are two sequences.
inline std::int64_t sequences_of(const Config& c) { return c.training.micro_batch * (pairs_of(c) ? 2 : 1); }

/// What decoder() of a classifier does.
[[noreturn]] inline void refuse_sampling(const std::string& family) {
  throw InputError("got a classifier (model.family = \"" + family +
                   "\"), expected a model of the next token: only that can be sampled from");
}

/// Tokens alone, for a recurrence, which knows the order.
inline EmbeddingSetup tokens_alone(const Config& c) {
  EmbeddingSetup setup{c.model.width, c.model.vocabulary};
  setup.slots = Slots::plain;
  setup.token = {Initialiser::normal, 1.0};
  setup.dropout = static_cast<float>(c.model.dropout);
  return setup;
}

/// The strength of the distance of classes in the loss; below 0: cross-entropy.
inline float proximity_of(const Config& c) {
  return c.loss.function == "class_proximity" ? static_cast<float>(c.loss.proximity) : -1.0f;
}

/// model.head = "pooler", the classifier of BERT's kin (transformers, modeling_bert.py, BertPooler and the heads of its
/// relatives): dropout of the pooled rows, a dense layer of their width, the activation, dropout, a map to the classes.
inline ClassSetup pooler(const Config& c, Activation activation) {
  ClassSetup setup{c.model.width, pooling_kind(c.model.pooling), std::nullopt, {c.model.width}, c.model.classes};
  setup.proximity = proximity_of(c);
  setup.start = ClassStart::small;
  setup.activation = activation;
  setup.wide_dropout = static_cast<float>(c.model.dropout);
  return setup;
}

/// model.token_deviation, or the family's own.
inline Initial token_start(const Config& c, double own) {
  return {Initialiser::normal, c.model.token_deviation > 0 ? c.model.token_deviation : own};
}

/// One linear map of pooled rows of this width, or of what a pair makes of them.
inline ClassSetup one_map(const Config& c, std::int64_t width) {
  ClassSetup setup{width, pooling_kind(c.model.pooling), std::nullopt, {}, c.model.classes};
  setup.proximity = proximity_of(c);
  if (pairs_of(c))
    setup.pairs = c.model.pair_features == "four" ? PairFeatures::four : PairFeatures::both;
  return setup;
}

} // namespace weft
