// The keys of [model]: the table of config/keys.cpp goes on here.
#include "config/families.hpp"
#include "config/key_table.hpp"

namespace weft {
namespace {

std::vector<std::string> with_a_choice_of_positions() {
  std::vector<std::string> names;
  for (const FamilyRow& row : family_table())
    if (row.positions.size() > 1)
      names.push_back(row.name);
  return names;
}

/// The sparse transformer always has the sum of tables, whose second one is l long where nobody gives their sizes;
/// others may have axial ones.
Of of_grid() { return {{{"model.family", {"sparse_transformer"}}}, {{"model.positions", {"axial"}}}}; }

std::vector<Key> size_keys(Config& c) {
  return {
      {"model.family",
       &c.model.family,
       one_of(family_names()),
       "",
       "kind of model: " + words_of(family_table()),
       {},
       Shapes::parameters},
      {"model.code", &c.model.code, one_of({"lra", "nystromformer", "bert", "gpt2"}), "",
       "whose released code the encoder follows in what their papers leave open: lra (the Long Range Arena's), "
       "nystromformer, bert (norms behind the additions and behind the embedding), gpt2 (causal; all three with "
       "attention.form = \"paper\"; docs/arena.md has the differences)",
       of_family({"arena"}), Shapes::parameters},
      {"model.layers",
       &c.model.layers,
       between(1, 10000),
       "",
       "residual blocks, or layers of an LSTM, L",
       {},
       Shapes::parameters},
      {"model.width",
       &c.model.width,
       at_least(1),
       "",
       "width of the residual stream, or of an LSTM's token vectors, D",
       {},
       Shapes::parameters},
      {"model.heads", &c.model.heads, at_least(1), "", "attention heads, H; divides the width", of_family(attending),
       Shapes::parameters},
      {"model.context", &c.model.context, between(1, most_positions), "tokens", "sequence length, N"},
      {"model.vocabulary", &c.model.vocabulary, between(2, 65535), "", "distinct tokens, V", {}, Shapes::parameters},
      {"model.feedforward", &c.model.feedforward, at_least(0), "",
       "width of the hidden layer of a block; 0: 4D, of mega 2D", of_family({"arena", "reformer", "mega"}),
       Shapes::parameters},
      {"model.feedforward_chunks", &c.model.feedforward_chunks, between(1, 1 << 20), "",
       "parts of a micro-batch's rows that go through the hidden layer one after the other: its memory is divided by "
       "it, and the backward pass computes it again; 1: off",
       of_family({"reformer"})},
      {"model.loss_chunks", &c.model.loss_chunks, between(1, 1 << 20), "",
       "the same of the output layer and the loss; logits then cannot be had whole (weft eval --logits)",
       of_family({"reformer"})},
      {"model.dropout", &c.model.dropout, from_to_below(0, 1), "",
       "share of elements dropped at the two residual additions of a block, or of an LSTM's token vectors"},
  };
}

std::vector<Key> recurrence_keys(Config& c) {
  return {
      {"model.state_width", &c.model.state_width, between(0, 1 << 20), "",
       "numbers of an LSTM's state in each direction, complex ones of an LRU's, 0: D; complex ones for each channel of "
       "an S4D, 0: 32",
       of_family({"bilstm", "lru", "s4d"}), Shapes::parameters},
      {"model.layer_dropout", &c.model.layer_dropout, from_to_below(0, 1), "",
       "share of elements dropped between two layers of an LSTM", of_family({"bilstm"})},
      {"model.bidirectional", &c.model.bidirectional, any, "",
       "whether states are scanned from the end too, with the same factors and a map of their own (lru, s4d)",
       of_family({"lru", "s4d"}), Shapes::parameters},
      {"model.r_min", &c.model.r_min, from_to_below(0, 1), "",
       "inner radius of the ring in which the factors of states begin (lru): 0 for short sequences, 0.9 and more for "
       "long ones",
       of_family({"lru"})},
      {"model.r_max", &c.model.r_max, between(0, 1), "",
       "its outer radius: a state with a factor of size r remembers about 1 / (1 - r) positions", of_family({"lru"})},
      {"model.phase_max", &c.model.phase_max, above(0), "",
       "largest angle of a factor in the beginning, in radians: 2 pi for short sequences, pi / 10 for long ones (lru)",
       of_family({"lru"})},
      {"model.dt_min", &c.model.dt_min, above(0), "",
       "least step of a channel in the beginning (s4d): steps are drawn evenly by their logarithm, and a mode that "
       "decays at 1/2 remembers 2 / dt positions",
       of_family({"s4d"})},
      {"model.dt_max", &c.model.dt_max, above(0), "", "its largest step", of_family({"s4d"})},
  };
}

std::vector<Key> block_keys(Config& c) {
  return {
      {"model.half_size", &c.model.half_size, any, "",
       "query and key width D/2 and feed-forward width 2D, instead of D and 4D", of_family({"sparse_transformer"}),
       Shapes::parameters},
      {"model.recompute",
       &c.model.recompute,
       one_of({"none", "attention", "block"}),
       "",
       "what the backward pass computes again instead of keeping it; changes memory and time, not one bit of the "
       "result",
       {{{"model.family", {"sparse_transformer"}}},
        {{"model.family", {"arena", "reformer"}}, {"model.stream", {"pre_norm"}}}}},
      {"model.stream", &c.model.stream, one_of({"pre_norm", "post_norm", "reversible"}), "",
       "how layers add up: pre_norm (a norm in front of each, one at the end), post_norm (a norm behind each "
       "addition), reversible (two streams, which the backward pass computes again from their end: memory that does "
       "not grow with depth)",
       of_family({"arena", "reformer", "mega", "lru", "s4d"}), Shapes::attention},
      {"model.final_norm",
       &c.model.final_norm,
       any,
       "",
       "whether a stream pre_norm ends in a norm in front of the classifier",
       {{{"model.family", {"arena", "mega"}}, {"model.stream", {"pre_norm"}}, {"data.task", class_tasks()}}},
       Shapes::parameters},
      {"model.input",
       &c.model.input,
       one_of({"tokens", "pixels"}),
       "",
       "what tokens are (mega): tokens (a learned vector each), pixels (grey values from 0 to 255, which a learned "
       "vector "
       "is multiplied by, and another one added)",
       {{{"model.family", {"mega"}}, {"data.task", {"classify"}}}},
       Shapes::parameters},
      {"model.pixel_mean", &c.model.pixel_mean, between(0, 1), "",
       "mean of the pictures' values, 1 being white, which is subtracted", with("model.input", {"pixels"}),
       Shapes::attention},
      {"model.pixel_deviation", &c.model.pixel_deviation, above(0), "",
       "their standard deviation, by which they are divided then", with("model.input", {"pixels"}), Shapes::attention},
      {"model.norm", &c.model.norm, one_of({"layer", "scale", "rms", "batch"}), "",
       "what normalises, behind each addition or in front (mega): layer (layer normalisation), scale (rows divided by "
       "the root of their mean square, times one number), rms (the same, times a number for each channel), batch (each "
       "channel by its mean and variance over the real rows of training.micro_batch sequences, and by running ones in "
       "an evaluation; not of the next token)",
       of_family({"mega"}), Shapes::parameters},
      {"model.positions", &c.model.positions, one_of({"grid", "learned", "axial", "sinusoid", "none"}), "",
       "what tells positions apart: grid (the sum of the tables of model.position_shape), learned (a vector each), "
       "axial (the tables of model.position_shape side by side), sinusoid (fixed), none",
       of_family(with_a_choice_of_positions()), Shapes::parameters},
      {"model.position_shape", &c.model.position_shape, at_least(1), "",
       "sizes of the learned position tables, row-major coordinates; empty: (ceil(N/l), l) with l = attention.stride, "
       "or for axial two powers of two with the product N",
       of_grid(), Shapes::parameters},
      {"model.position_widths", &c.model.position_widths, at_least(1), "",
       "widths of the axial tables, with the sum D; empty: equal ones", with("model.positions", {"axial"}),
       Shapes::parameters},
      {"model.embedding_scale", &c.model.embedding_scale, at_least(0), "",
       "token embedding and start vector begin with standard deviation scale/sqrt(D)",
       of_family({"sparse_transformer"})},
      {"model.position_scale", &c.model.position_scale, at_least(0), "",
       "position tables begin with standard deviation scale/sqrt(D * tables)", of_family({"sparse_transformer"})},
      {"model.weight_scale", &c.model.weight_scale, at_least(0), "",
       "weights begin with variance scale/inputs; those that end a residual branch are divided by sqrt(2L)",
       of_family({"sparse_transformer"})},
      {"model.tied_embedding", &c.model.tied_embedding, any, "", "the output matrix is the transposed token embedding",
       with("data.task", causal_tasks()), Shapes::parameters},
  };
}

std::vector<Key> head_keys(Config& c) {
  return {
      {"model.pooling", &c.model.pooling, one_of({"cls", "first", "last", "mean", "mean_all", "attention"}), "",
       "the row that a classifier reads: cls (a learned vector in front of the sequence; for pairs the first token), "
       "first (the first token's), last (the last real token's), mean (over the rows of real tokens), mean_all (over "
       "all rows, padded ones too), attention (a learned "
       "weighting)",
       with("data.task", class_tasks()), Shapes::parameters},
      {"model.pooling_width", &c.model.pooling_width, at_least(0), "",
       "width of what attention pooling takes the tanh of; 0: that of the rows", with("model.pooling", {"attention"}),
       Shapes::parameters},
      {"model.classes", &c.model.classes, between(0, 65535), "", "classes of the labels; 0: from the data",
       with("data.task", class_tasks()), Shapes::parameters},
      {"model.head", &c.model.head, one_of({"own", "pooler"}), "",
       "the classifier: own (the family's), pooler (that of BERT's kin: dropout, a dense layer of the rows' width, "
       "tanh, "
       "dropout, a map to the classes; GELU instead of tanh with code bert and pattern bigbird)",
       of_family({"arena", "mega"}), Shapes::parameters},
      {"model.head_width",
       &c.model.head_width,
       at_least(0),
       "",
       "width of the hidden layer of the classifier; 0: that of a block",
       {{{"model.family", {"arena", "mega"}}, {"model.head", {"own"}}}},
       Shapes::parameters},
      {"model.token_deviation", &c.model.token_deviation, at_least(0), "",
       "standard deviation of token vectors in the beginning; 0: the family's own", of_family({"arena", "mega"})},
      {"model.pair_features", &c.model.pair_features, one_of({"two", "four"}), "",
       "what the classifier of pairs reads of the vectors a and b of both sequences: two (a, b; of mega b, a, as its "
       "authors have it) or four (a, b, a * b, a - b)",
       with("data.task", {"pairs"}), Shapes::parameters},
      {"model.init_from", &c.model.init_from, any, "",
       "a run folder (its newest good checkpoint) or a checkpoint file: the run begins with its weights, and with a "
       "fresh optimiser at step 0; a run that goes on has its own"},
      {"model.init_parts", &c.model.init_parts, one_of({"all", "body"}), "",
       "of model.init_from: all parameters, or the body without the head (output.*, head.*), whose shapes may differ"},
  };
}

} // namespace

std::vector<Key> model_keys(Config& c) {
  return joined_tables({size_keys(c), recurrence_keys(c), block_keys(c), head_keys(c)});
}

} // namespace weft
