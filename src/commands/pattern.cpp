#include "commands/pattern.hpp"
#include "commands/key_pictures.hpp"
#include "commands/pattern_of_run.hpp"
#include "commands/shared_options.hpp"
#include "config/keys.hpp"
#include "config/parse.hpp"
#include "config/patterns.hpp"
#include "config/readers.hpp"
#include "io/console.hpp"
#include "model/patterns.hpp"
#include <CLI/CLI.hpp>
#include <algorithm>
#include <fmt/format.h>
#include <memory>
#include <optional>

namespace weft {
namespace {

/// The first of the sets that a merged pattern unites; nothing for the others.
std::optional<Pattern> first_set(const Config& config, const PatternChoice& choice) {
  const PatternRow& row = pattern_row(config.attention.pattern);
  if (row.merged && row.merged->name == choice.set)
    return build_pattern(config, {row.sets.front().name, 0});
  return std::nullopt;
}

bool reads(const PatternSet& set, const std::string& key) {
  return std::find(set.reads.begin(), set.reads.end(), key) != set.reads.end();
}

int show(const PatternOptions& options) {
  const LoadedConfig loaded = load_config(options.input, options.overrides, DataCheck::skipped);
  const Config& config = loaded.config;
  if (!is_read(config, "attention.pattern"))
    throw InputError(fmt::format("got model.family = \"{}\", which has no attention, so that there is nothing to show",
                                 config.model.family));
  if (config.attention.pattern == "lsh")
    throw InputError(fmt::format("got {} with attention.pattern = \"lsh\": what a query sees follows from the row and "
                                 "the weights, so that an input file has nothing to show; expected a run folder or a "
                                 "checkpoint file: weft pattern RUN --split valid --row 0",
                                 options.input));
  if (pattern_row(config.attention.pattern).operation)
    throw InputError(
        fmt::format("got attention.pattern = \"{}\", which is no softmax over a set of keys, so that there "
                    "is nothing to show; expected one of {}",
                    config.attention.pattern, joined(key_set_patterns(), ", ")));
  require_head(options, config);
  const PatternChoice choice = pattern_choice(config, options.layer, options.head);
  const Pattern pattern = build_pattern(config, choice);
  const PatternWork work = pattern_work(pattern);
  const std::int64_t N = pattern.length, front = slots_in_front(config);
  const double keys = static_cast<double>(work.keys), n = static_cast<double>(N);
  const PatternSet& set = pattern_set(config, choice.set);
  Table table(fmt::format("{}: layer {}, head {}", options.input, options.layer, options.head));
  table.row("pattern",
            choice.set + (set.grouped ? fmt::format(", summary sub-block {} from the end", choice.group) : ""));
  table.row("positions", front == 0
                             ? exact_count(N)
                             : fmt::format("{}: the CLS vector and {} tokens", exact_count(N), exact_count(N - front)));
  table.row("a query at i sees", form_of(config, set).sees);
  if (reads(set, "stride"))
    table.row("stride", exact_count(config.attention.stride));
  if (reads(set, "summary"))
    table.row("summary columns", exact_count(config.attention.summary));
  if (set.name == "longformer")
    table.row("window", exact_count(config.attention.window > 0 ? config.attention.window : 512));
  if (reads(set, "dilation") && config.attention.dilation > 1)
    table.row("dilation", exact_count(config.attention.dilation));
  if (has_global_rows(config))
    table.row("global positions", exact_count(config.attention.global));
  if (reads(set, "random"))
    table.row("random blocks", exact_count(config.attention.random));
  table.row("keys", exact_count(work.keys));
  table.row("keys per query", fmt::format("{:.1f}", keys / n));
  table.row("share of full", fmt::format("{:.3f} %", 100 * keys / (n * n)));
  table.row("share of causal", fmt::format("{:.3f} %", 100 * keys / (n * (n + 1) / 2)));
  table.row("tiles executed", fmt::format("{} of {} x {}", exact_count(work.tiles), query_tile, key_tile));
  const double pairs = static_cast<double>(work.tiles) * query_tile * key_tile;
  table.row("share of tiles used", work.tiles == 0 ? "-" : fmt::format("{:.1f} %", 100 * keys / pairs));
  Console console(true, talk({options.csv}));
  console.table(table);
  const KeysOf all = [&](int query) { return keys_of(pattern, query); };
  if (N <= widest_in_letters)
    console.line("  rows are queries, columns keys; # seen, . not seen\n" + keys_in_letters(all, N));
  if (!options.csv.empty())
    write_keys(options.csv, all, N);
  if (options.png.empty())
    return exit_done;
  const std::optional<Pattern> one = first_set(config, choice);
  draw_keys(options.png, all, one ? [&](int query) { return keys_of(*one, query); } : KeysOf(), N,
            [&](double done) { console.progress(fmt::format("drawing {}: {:.0f} %", options.png, 100 * done)); });
  return exit_done;
}

} // namespace

void add_pattern(CLI::App& app, std::function<int()>& action) {
  const auto options = std::make_shared<PatternOptions>();
  CLI::App* command = app.add_subcommand("pattern", "show the keys that each query of a layer and head really sees");
  command
      ->add_option("input", options->input,
                   "the input file (TOML); of attention over hash buckets, a run folder or a checkpoint file")
      ->required()
      ->type_name(input_word);
  command->add_option("overrides", options->overrides, "section.key=value, after the file; the later one wins")
      ->type_name(override_word);
  command->add_option("--layer", options->layer, "layer, from 0");
  command->add_option("--head", options->head, "head, from 0");
  add_output_or_stdout(*command, "--csv", options->csv,
                       "write one line per query to this file: its position, then its keys");
  add_output(*command, "--png", options->png, "draw the connectivity matrix to this file");
  const std::vector<CLI::Option*> of_runs = {
      command->add_option("--row", options->row, "of a run: row of the split, from 0"),
      command->add_option("--split", options->split, "of a run: train, valid or test; else evaluation.split")
          ->check(CLI::IsMember({"train", "valid", "test"})),
      command->add_option("--document", options->document, "of a run on pairs: 0 or 1"),
      add_output_or_stdout(*command, "--buckets", options->buckets,
                           "of a run: write one line per position to this file: its number, then its bucket in each "
                           "round"),
      command->add_flag("--best", options->best,
                        "of a run: the checkpoint that was best on validation, not the "
                        "newest")};
  command->callback([options, of_runs, &action] {
    action = [options, of_runs] {
      if (is_trained(options->input))
        return show_run(*options);
      for (const CLI::Option* one : of_runs)
        if (one->count() > 0)
          throw InputError(fmt::format("{}: got {}, which is no run folder and no checkpoint file, expected one of "
                                       "them; an input file shows what is the same for all rows",
                                       one->get_name(), options->input));
      return show(*options);
    };
  });
}

} // namespace weft
