#include "commands/pattern_of_run.hpp"
#include "commands/evaluation_config.hpp"
#include "commands/find_checkpoint.hpp"
#include "commands/job.hpp"
#include "commands/key_pictures.hpp"
#include "config/keys.hpp"
#include "config/patterns.hpp"
#include "io/atomic_file.hpp"
#include "io/checkpoint_file.hpp"
#include "io/console.hpp"
#include "io/shards.hpp"
#include "kernels/lsh/seen_keys.hpp"
#include "model/layers/lsh_attention.hpp"
#include "tasks/collect.hpp"
#include "training/evaluation.hpp"
#include "training/state.hpp"
#include <algorithm>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <stdexcept>

namespace weft {

bool is_trained(const std::string& what) {
  if (std::filesystem::is_directory(what))
    return true;
  const std::string signature = "\x89HDF\r\n\x1a\n";
  std::string begin(signature.size(), ' ');
  std::ifstream file(what, std::ios::binary);
  return file.read(begin.data(), static_cast<std::streamsize>(begin.size())) && begin == signature;
}

void require_head(const PatternOptions& options, const Config& config) {
  if (options.layer < 0 || options.layer >= config.model.layers)
    throw InputError(fmt::format("--layer: got {}, expected 0 to {} (model.layers = {})", options.layer,
                                 config.model.layers - 1, config.model.layers));
  if (options.head < 0 || options.head >= config.model.heads)
    throw InputError(fmt::format("--head: got {}, expected 0 to {} (model.heads = {})", options.head,
                                 config.model.heads - 1, config.model.heads));
}

namespace {

/// Dense attention with shared queries and keys is the same layer, with one bucket.
void require_buckets(const std::string& what, const Config& config) {
  const std::string& pattern = config.attention.pattern;
  if (pattern == "lsh" || (pattern == "dense" && config.attention.shared_qk))
    return;
  if (pattern_row(pattern).operation)
    throw InputError(fmt::format("got attention.pattern = \"{}\", which is no softmax over a set of keys, so that "
                                 "there is nothing to show; expected a run with \"lsh\", or an input file with one "
                                 "of {}",
                                 pattern, joined(key_set_patterns(), ", ")));
  throw InputError(fmt::format("got {} with attention.pattern = \"{}\", whose keys are the same for every row and all "
                               "weights; expected a run with \"lsh\". Its keys: weft pattern {}",
                               what, pattern,
                               std::filesystem::is_directory(what) ? what + "/config.toml" : "INPUT.toml"));
}

/// Of the row, after the forward pass.
struct Seen {
  LshSetup setup;
  LshRule rule;
  std::int64_t N = 0;       ///< slots of the sorted lists
  std::vector<int> buckets; ///< [R, N]
};

/// A model of one row at a time: what is in a row does not depend on the others of its micro-batch.
struct Loaded {
  std::string path, split;
  Config config;
  std::int64_t step = 0;
  std::unique_ptr<Task> task;

  explicit Loaded(const PatternOptions& options) : path(find_checkpoint(options.input, options.best)) {
    const CheckpointFile file(path);
    step = file.integer("step");
    config = evaluation_config(file.text("config"), path, options.overrides).config;
    config.training.micro_batch = 1;
    require_buckets(options.input, config);
    require_head(options, config);
    split = options.split.empty() ? config.evaluation.split : options.split;
    require_split(config.data.path, split);
    task = open_task(config, split);
    task->require_known(config.model.vocabulary);
    if (options.row < 0 || options.row >= task->rows())
      throw InputError(fmt::format("--row: got {}, expected 0 to {}: the {} split of {} has {} rows", options.row,
                                   task->rows() - 1, split, config.data.path, exact_count(task->rows())));
    if (options.document < 0 || options.document >= task->shape().sequences)
      throw InputError(fmt::format("--document: got {}, expected {} (data.task = \"{}\")", options.document,
                                   task->shape().sequences == 1 ? "0" : "0 or 1", config.data.task));
  }
};

Seen forward(const PatternOptions& options, const Loaded& from) {
  const Config& c = from.config;
  const std::unique_ptr<Model> model = make_model(c);
  Buffer<float> weights(model->parameters().extent(), "weights");
  load_weights(from.path, weights, model->parameters(), c);
  model->allocate();
  model->use_weights(weights.data());
  Collector collector(*from.task, 1, model->variable_length());
  const Batch batch = drawn_as_trained(collector.evaluation(options.row), c, from.step);
  Scores scores;
  model->forward(batch, scores);
  const std::int64_t H = c.model.heads, E = c.model.width / H, front = slots_in_front(c), slots = batch.length + front;
  Seen seen;
  seen.setup = lsh_setup_of(c, {c.model.width, H, E, E}, options.layer, c.model.context + front);
  seen.rule = seen.setup.rule_for(slots);
  seen.N = seen.setup.slots(slots);
  const std::vector<int> all = model->kept_integers(block_name(options.layer, c.model.layers) + "buckets");
  const std::int64_t one = seen.rule.rounds * seen.N, begin = (options.document * H + options.head) * one;
  if (static_cast<std::int64_t>(all.size()) < begin + one)
    throw std::logic_error("the model kept no buckets of this layer");
  seen.buckets.assign(all.begin() + begin, all.begin() + begin + one);
  return seen;
}

std::string sees(const Seen& seen) {
  const LshRule& rule = seen.rule;
  std::string text = "what is in its bucket, in its chunk or the one before";
  if (rule.other_buckets)
    text = "what is in its chunk or the one before, in any bucket";
  if (rule.chunk >= seen.N && seen.setup.hash.buckets() == 1)
    text = "everything";
  if (rule.causal)
    text += ", and no later";
  return text + (rule.self_last ? "; itself as a last resort" : "");
}

/// Line by line: a position, and its bucket in each round.
void write_buckets(const std::string& path, const Seen& seen) {
  AtomicFile file(path);
  for (std::int64_t i = 0; i < seen.N; ++i) {
    std::string line = std::to_string(i);
    for (std::int64_t r = 0; r < seen.rule.rounds; ++r)
      line += "," + std::to_string(seen.buckets[static_cast<std::size_t>(r * seen.N + i)]);
    file.write(line + "\n");
  }
  file.commit();
}

/// "6 of 8, the largest with 11 positions"
std::string bucket_figures(const Seen& seen, std::int64_t round) {
  std::vector<std::int64_t> sizes(static_cast<std::size_t>(seen.setup.hash.buckets()) + 1);
  for (std::int64_t i = 0; i < seen.N; ++i)
    ++sizes[static_cast<std::size_t>(seen.buckets[static_cast<std::size_t>(round * seen.N + i)])];
  sizes.pop_back(); // positions that are not real
  return fmt::format("{} of {}, the largest with {} positions",
                     exact_count(std::count_if(sizes.begin(), sizes.end(), [](std::int64_t n) { return n > 0; })),
                     exact_count(seen.setup.hash.buckets()),
                     exact_count(*std::max_element(sizes.begin(), sizes.end())));
}

struct Counts {
  std::int64_t keys = 0, again = 0, alone = 0; ///< pairs; more times that they count; queries that see themselves alone
};

void tell(const PatternOptions& options, const Loaded& from, const Seen& seen, std::int64_t real,
          const Counts& counts) {
  const LshRule& rule = seen.rule;
  const std::int64_t N = seen.N;
  Table table(fmt::format("{} (step {}): layer {}, head {}, row {} of the {} split", from.path, from.step,
                          options.layer, options.head, options.row, from.split));
  table.row("pattern", fmt::format("{}, {} of {} buckets, chunks of {}", from.config.attention.pattern,
                                   rule.rounds == 1 ? "1 round" : fmt::format("{} rounds", rule.rounds),
                                   exact_count(seen.setup.hash.buckets()), exact_count(rule.chunk)));
  table.row("positions", real == N ? exact_count(N) : fmt::format("{}, {} real", exact_count(N), exact_count(real)));
  table.row("a query at i sees", sees(seen));
  for (std::int64_t r = 0; r < rule.rounds; ++r)
    table.row(fmt::format("buckets of round {}", r), bucket_figures(seen, r));
  const double keys = static_cast<double>(counts.keys), n = static_cast<double>(N);
  table.row("keys", exact_count(counts.keys));
  if (counts.again > 0)
    table.row("counted again", exact_count(counts.again));
  table.row("keys per query", fmt::format("{:.1f}", keys / n));
  table.row("share of full", fmt::format("{:.3f} %", 100 * keys / (n * n)));
  if (rule.causal)
    table.row("share of causal", fmt::format("{:.3f} %", 100 * keys / (n * (n + 1) / 2)));
  table.row("queries with no key but their own", exact_count(counts.alone));
  Console().table(table);
}

int show(const PatternOptions& options, const Ranks& ranks) {
  std::unique_ptr<Loaded> from;
  agree(ranks, [&] { from = std::make_unique<Loaded>(options); });
  const StartedRuntime runtime = start_runtime(ranks, from->config.parallel.share_device, from->config.debug.isa);
  if (!ranks.root())
    return exit_done;
  const Seen seen = forward(options, *from);
  const LshSeenKeys keys(seen.rule, seen.N, seen.buckets, seen.setup.hash.buckets());
  const KeysOf keys_of = [&](int query) {
    std::vector<int> all = keys.of(query);
    all.erase(std::unique(all.begin(), all.end()), all.end());
    return all;
  };
  Counts counts;
  for (int i = 0; i < seen.N; ++i) {
    const std::vector<int> once = keys_of(i);
    counts.keys += static_cast<std::int64_t>(once.size());
    counts.again += static_cast<std::int64_t>(keys.of(i).size() - once.size());
    counts.alone += once == std::vector<int>{i};
  }
  tell(options, *from, seen, keys.real(), counts);
  if (seen.N <= widest_in_letters)
    Console().line("  rows are queries, columns keys; # seen, . not seen\n" + keys_in_letters(keys_of, seen.N));
  if (!options.csv.empty())
    write_keys(options.csv, keys_of, seen.N);
  if (!options.buckets.empty())
    write_buckets(options.buckets, seen);
  if (!options.png.empty())
    draw_keys(options.png, keys_of, {}, seen.N);
  return exit_done;
}

} // namespace

int show_run(const PatternOptions& options) {
  return run_job([&](const Ranks& ranks) { return show(options, ranks); });
}

} // namespace weft
