// The keys of [attention]: the table of config/keys.cpp goes on here.
#include "config/families.hpp"
#include "config/key_table.hpp"

namespace weft {
namespace {

/// In the released form of the arena lsh has no settings.
Of of_lsh() {
  return {{{"attention.pattern", {"lsh"}}, {"model.family", {"sparse_transformer", "reformer"}}},
          {{"attention.pattern", {"lsh"}}, {"attention.form", {"paper"}}}};
}
/// Those of full attention with shared queries and keys, too.
Of of_shared_qk() {
  Of readers = of_lsh();
  readers.push_back({{"attention.shared_qk", {"true"}}});
  return readers;
}
Of of_patterns(const std::string& key) { return with("attention.pattern", patterns_reading(key)); }

/// What the released form of a pattern computes without.
Of of_paper_form(const std::string& key) {
  return {{{"attention.pattern", patterns_reading(key)}, {"attention.form", {"paper"}}}};
}

Of of_stride() {
  return {{{"attention.pattern", patterns_reading("stride")}},
          {{"model.family", {"sparse_transformer"}}, {"model.position_shape", {"[]"}}}};
}

std::vector<Key> pattern_keys(Config& c) {
  return {
      {"attention.pattern", &c.attention.pattern, one_of(pattern_names()), "",
       "which keys a query sees; whether later ones are among them follows from data.task (docs/attention.md)",
       of_family(attending), Shapes::attention},
      {"attention.form", &c.attention.form, one_of({"paper", "lra"}), "",
       "as the papers have it, or as the released code of the Long Range Arena does where it differs",
       of_family({"arena"}), Shapes::attention},
      {"attention.width", &c.attention.width, at_least(0), "",
       "width of queries, keys and values, all heads together; 0: model.width", of_family({"arena"}),
       Shapes::parameters},
      {"attention.dropout",
       &c.attention.dropout,
       from_to_below(0, 1),
       "",
       "share of attention weights dropped",
       {{{"model.family", {"arena", "reformer", "mega"}}, {"attention.pattern", patterns_with_weights()}}}},
      {"attention.stride", &c.attention.stride, between(1, most_positions), "tokens",
       "l: window of local, window and stride of strided, block length of fixed, chunk, sparse, bigbird, sinkhorn and "
       "of what sees both ways; and the second position table where model.position_shape is empty",
       of_stride(), Shapes::attention},
      {"attention.window", &c.attention.window, between(0, most_positions), "tokens",
       "window of local and strided where it is not l; 0: attention.stride, as in the paper; of longformer both sides "
       "together; 0: 512, as in the paper",
       of_patterns("window"), Shapes::attention},
      {"attention.dilation",
       &c.attention.dilation,
       between(1, most_positions),
       "tokens",
       "distance between neighbours in the window of longformer",
       {{{"attention.pattern", patterns_reading("dilation")}, {"attention.form", {"paper"}}},
        {{"attention.pattern", patterns_reading("dilation")}, {"data.task", causal_tasks()}}},
       Shapes::attention},
      {"attention.global",
       &c.attention.global,
       between(0, most_positions),
       "positions",
       "first positions, the CLS vector among them, that see all and that all see, by projections of their own "
       "(longformer)",
       {{{"attention.pattern", patterns_reading("global")}, {"attention.form", {"paper"}}}},
       Shapes::attention},
      {"attention.random", &c.attention.random, between(0, 1 << 20), "blocks",
       "r: random blocks that a block of queries sees (bigbird)", of_patterns("random"), Shapes::attention},
      {"attention.allow_leak",
       &c.attention.allow_leak,
       any,
       "",
       "take a pattern that shows a model the bytes that it is to predict",
       {{{"attention.pattern", patterns_without_causal_form()}, {"data.task", causal_tasks()}}}},
      {"attention.summary", &c.attention.summary, between(1, most_positions), "tokens",
       "c: summary columns per block and head (fixed, sparse)", of_patterns("summary"), Shapes::attention},
      {"attention.shared_summary", &c.attention.shared_summary, any, "",
       "every head uses the last summary sub-block of a block instead of one of its own (fixed)",
       of_patterns("shared_summary"), Shapes::attention},
  };
}

std::vector<Key> hashing_keys(Config& c) {
  return {
      {"attention.shared_qk",
       &c.attention.shared_qk,
       any,
       "",
       "one map for queries and keys in dense attention, as lsh has it: keys by attention.score",
       {{{"attention.pattern", {"dense"}}, {"model.family", {"sparse_transformer", "reformer"}}},
        {{"attention.pattern", {"dense"}}, {"attention.form", {"paper"}}}},
       Shapes::attention}, // a model trained with lsh has the same map
      {"attention.score", &c.attention.score, one_of({"unit", "trax", "raw"}), "",
       "score of a query q_i and a key made of q_j: unit (q_i . q_j / (|q_j| sqrt(E)), E the head width), trax (q_i . "
       "q_j / |q_j|), raw (q_i . q_j / sqrt(E))",
       of_shared_qk(), Shapes::attention},
      {"attention.self", &c.attention.self, one_of({"last_resort", "seen"}), "",
       "whether a query sees its own position: last_resort (only where it sees nothing else), seen (like any other)",
       of_shared_qk(), Shapes::attention},
      {"attention.rounds", &c.attention.rounds, between(1, 256), "",
       "R: hashes by independent projections, each with a sorted list of its own", of_lsh(), Shapes::attention},
      {"attention.buckets", &c.attention.buckets, between(1, 65536), "",
       "buckets of a hash: one even number, or factors whose product it is, each with projections of its own; [1]: no "
       "hash; []: 2 (N div m), in two factors where that is more than 128",
       of_lsh(), Shapes::attention},
      {"attention.chunk", &c.attention.chunk, between(1, most_positions), "tokens",
       "m: positions that follow each other in a sorted list and see each other and the chunk before", of_lsh(),
       Shapes::attention},
      {"attention.other_buckets", &c.attention.other_buckets, any, "",
       "a query sees all keys of its chunks, not only those of its bucket", of_lsh(), Shapes::attention},
      {"attention.duplicates", &c.attention.duplicates, any, "",
       "a key counts as often as a query sees it in the rounds, not once", of_lsh(), Shapes::attention},
      {"attention.look_back", &c.attention.look_back, one_of({"cyclic", "straight"}), "",
       "what the first chunk of a round has before it: cyclic (the last chunk of the round before, of the last round "
       "for the first), straight (nothing)",
       of_lsh(), Shapes::attention},
      {"attention.join", &c.attention.join, one_of({"softmax", "mean"}), "",
       "how rounds are joined: softmax (over all that they see), mean (of their outputs)", of_lsh(), Shapes::attention},
      {"attention.fixed_hashes", &c.attention.fixed_hashes, any, "",
       "the projections of an evaluation in every step, instead of a draw for each", of_lsh(), Shapes::attention},
  };
}

std::vector<Key> projection_keys(Config& c) {
  return {
      {"attention.projected", &c.attention.projected, between(1, 4096), "keys",
       "k: mixed keys that every query attends to (linformer); papers: 128 to 256, arena: 16", of_patterns("projected"),
       Shapes::parameters},
      {"attention.sharing", &c.attention.sharing, one_of({"headwise", "key_value", "layerwise", "per_head"}), "",
       "which matrices mix keys and values (linformer): headwise (two per layer, for keys and for values, shared by "
       "its "
       "heads), key_value (one per layer for both), layerwise (one for all), per_head (one per head, for all layers)",
       of_patterns("sharing"), Shapes::parameters},
      {"attention.mode", &c.attention.mode, one_of({"random", "dense", "factorised_random", "factorised_dense"}), "",
       "the synthetic scores (synthesizer): random (a trained N x N matrix per head), factorised_random (the product "
       "of two N x rank ones), dense (a row of N scores from each token), factorised_dense (products of two rows of "
       "about sqrt(N))",
       of_patterns("mode"), Shapes::parameters},
      {"attention.dot_product", &c.attention.dot_product, any, "",
       "add the scores of queries and keys to the synthetic ones (synthesizer)", of_patterns("dot_product"),
       Shapes::parameters},
      {"attention.mixture",
       &c.attention.mixture,
       any,
       "",
       "give the scores of queries and keys and the synthetic ones shares 1 - s and s, s learned for each layer, in "
       "place of their sum (synthesizer)",
       {{{"attention.pattern", patterns_reading("mixture")},
         {"attention.dot_product", {"true"}},
         {"attention.mode", {"random", "dense", "factorised_random"}}}},
       Shapes::parameters},
      {"attention.rank",
       &c.attention.rank,
       between(1, 256),
       "",
       "columns of the two factors of mode factorised_random",
       {{{"attention.pattern", patterns_reading("rank")}, {"attention.mode", {"factorised_random"}}}},
       Shapes::parameters},
      {"attention.hidden",
       &c.attention.hidden,
       between(0, 255),
       "",
       "d: hidden numbers per head from which the dense modes make their scores; 0: the width of a head's values",
       {{{"attention.pattern", patterns_reading("hidden")}, {"attention.mode", {"dense", "factorised_dense"}}}},
       Shapes::parameters},
  };
}

std::vector<Key> feature_keys(Config& c) {
  return {
      {"attention.kernel", &c.attention.kernel, one_of({"softmax", "relu"}), "",
       "what the features of performer stand for: softmax (positive random features), relu (relu + 0.001 of queries "
       "and "
       "keys themselves)",
       of_patterns("kernel"), Shapes::attention},
      {"attention.features", &c.attention.features, between(0, 4096), "",
       "random features per head; 0: floor(E ln E) for heads of width E", with("attention.kernel", {"softmax"}),
       Shapes::attention},
      {"attention.redraw_steps", &c.attention.redraw_steps, at_least(0), "steps",
       "steps after which the random features are drawn anew; 0: never", with("attention.kernel", {"softmax"}),
       Shapes::attention},
      {"attention.combination", &c.attention.combination, any, "",
       "how the pattern's sets are shared out: merged, interleaved (by layer), heads (by head), or a list with one "
       "entry per layer, repeating, of merged, dense and the sets: local, strided (strided); block, summary (fixed)",
       with("attention.pattern", key_set_patterns()), Shapes::attention},
  };
}

std::vector<Key> sorting_keys(Config& c) {
  return {
      {"attention.sort_net", &c.attention.sort_net, one_of({"mlp", "linear"}), "",
       "what makes a block's sort logits of the sum of its rows: mlp (a layer with ReLU of model.width, then a linear "
       "map), linear (sinkhorn)",
       of_paper_form("sort_net"), Shapes::parameters},
      {"attention.iterations", &c.attention.iterations, between(1, 1000), "",
       "steps of Sinkhorn's normalisation, rows and columns each (sinkhorn)", of_paper_form("iterations"),
       Shapes::attention},
      {"attention.temperature", &c.attention.temperature, above(0), "",
       "tau, by which sort logits are divided: the lower, the nearer to a permutation (sinkhorn)",
       of_paper_form("temperature"), Shapes::attention},
      {"attention.noise", &c.attention.noise, any, "", "add Gumbel noise to the sort logits in training (sinkhorn)",
       of_paper_form("noise")},
      {"attention.sort_cut", &c.attention.sort_cut, between(0, most_positions), "blocks",
       "SortCut: sorted blocks, the first ones, that every query sees and nothing else; 0: off, a query sees its own "
       "block and the sorted block in its place (sinkhorn)",
       of_paper_form("sort_cut"), Shapes::attention},
  };
}

std::vector<Key> average_keys(Config& c) {
  return {
      {"attention.shared_width", &c.attention.shared_width, between(1, 256), "",
       "Z: width of queries and keys, which are made of one vector (mega)", of_family({"mega"}), Shapes::parameters},
      {"attention.value_width", &c.attention.value_width, between(0, 65536), "",
       "width of values (mega); 0: twice model.width", of_family({"mega"}), Shapes::parameters},
      {"attention.states", &c.attention.states, between(1, 256), "",
       "damped moving averages of each channel and direction (mega)", of_family({"mega"}), Shapes::parameters},
      {"attention.bias", &c.attention.bias, one_of({"none", "simple", "rotary"}), "",
       "scores that depend on the distance of query and key alone (mega): simple (a learned number for each distance), "
       "rotary (the product of two learned vectors that are turned by the positions), none",
       of_family({"mega"}), Shapes::parameters},
      {"attention.function", &c.attention.function, one_of({"softmax", "laplace", "relu2"}), "",
       "what makes weights of scores (mega): softmax, or of each score by itself, divided by the number of keys "
       "instead "
       "of sqrt(Z), laplace (the normal distribution's function around 0.707) or relu2 (the square of its positive "
       "part)",
       of_family({"mega"}), Shapes::attention},
  };
}

} // namespace

std::vector<Key> attention_keys(Config& c) {
  return joined_tables(
      {pattern_keys(c), hashing_keys(c), projection_keys(c), feature_keys(c), sorting_keys(c), average_keys(c)});
}

} // namespace weft
