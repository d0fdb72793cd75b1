#include "commands/pattern.hpp"
#include "commands/shared_options.hpp"
#include "config/keys.hpp"
#include "config/parse.hpp"
#include "config/patterns.hpp"
#include "io/atomic_file.hpp"
#include "io/console.hpp"
#include "io/png.hpp"
#include "model/patterns.hpp"
#include <CLI/CLI.hpp>
#include <algorithm>
#include <fmt/format.h>
#include <memory>
#include <optional>

namespace weft {
namespace {

constexpr std::int64_t widest_picture = 72;    // positions drawn in letters
constexpr std::int64_t cell_pixels = 12;       // of a PNG's cell, its grid line included
constexpr std::int64_t finest_grid = 128;      // positions up to which a PNG has cells
constexpr std::int64_t largest_picture = 1536; // pixels; longer sequences are averaged down to this

struct Options {
  std::string input, csv, png;
  std::vector<std::string> overrides;
  std::int64_t layer = 0, head = 0;
};

/// The first of the sets that a merged pattern unites; nothing for the others.
std::optional<Pattern> first_set(const Config& config, const PatternChoice& choice) {
  const PatternRow& row = pattern_row(config.attention.pattern);
  if (row.merged && row.merged->name == choice.set)
    return build_pattern(config, {row.sets.front().name, 0});
  return std::nullopt;
}

void write_csv(const std::string& path, const Pattern& pattern, std::int64_t N) {
  AtomicFile file(path);
  std::string line;
  for (int query = 0; query < N; ++query) {
    line = std::to_string(query);
    for (const int key : keys_of(pattern, query))
      line += "," + std::to_string(key);
    line += "\n";
    file.write(line);
  }
  file.commit();
}

/// Rows are queries, columns keys: '#' seen, '.' earlier but not seen, blank later and not seen.
std::string letters(const Pattern& pattern, std::int64_t N) {
  std::string out;
  for (int query = 0; query < N; ++query) {
    std::string row(static_cast<std::size_t>(N), ' ');
    std::fill(row.begin(), row.begin() + query + 1, '.');
    for (const int key : keys_of(pattern, query))
      row[static_cast<std::size_t>(key)] = '#';
    row.resize(row.find_last_not_of(' ') + 1); // at least the query's own position is left
    out += fmt::format("  {:>4} {}\n", query, row);
  }
  return out;
}

struct Colour {
  double r, g, b;
};
constexpr Colour future{255, 255, 255}, unseen{232, 232, 232}, own{8, 48, 107}, first{66, 146, 198},
    second{158, 202, 225};

/// The connectivity matrix as in the paper's Figure 3: the query's own position darkest, the first set dark, the second
/// light. Each pixel of a long sequence is the mean colour of its positions.
void write_picture(const std::string& path, const Pattern& pattern, const std::optional<Pattern>& dark,
                   std::int64_t N) {
  const bool cells = N <= finest_grid;
  const std::int64_t size = cells ? N * cell_pixels + 1 : std::min(N, largest_picture);
  std::vector<Colour> sum(static_cast<std::size_t>(size), Colour{});
  std::vector<double> weight(static_cast<std::size_t>(size));
  std::vector<std::uint8_t> pixels(static_cast<std::size_t>(size * size * 3), 200); // grid lines
  std::vector<Colour> row(static_cast<std::size_t>(N));
  const auto put = [&](std::int64_t y, std::int64_t x, const Colour& c, double over) {
    std::uint8_t* at = &pixels[static_cast<std::size_t>((y * size + x) * 3)];
    at[0] = static_cast<std::uint8_t>(c.r / over + 0.5);
    at[1] = static_cast<std::uint8_t>(c.g / over + 0.5);
    at[2] = static_cast<std::uint8_t>(c.b / over + 0.5);
  };
  for (int query = 0; query < N; ++query) {
    std::fill(row.begin(), row.begin() + query + 1, unseen);
    std::fill(row.begin() + query + 1, row.end(), future);
    for (const int key : keys_of(pattern, query))
      row[static_cast<std::size_t>(key)] = dark ? second : first;
    if (dark)
      for (const int key : keys_of(*dark, query))
        row[static_cast<std::size_t>(key)] = first;
    if (row[static_cast<std::size_t>(query)].r != unseen.r)
      row[static_cast<std::size_t>(query)] = own;
    if (cells) {
      for (std::int64_t key = 0; key < N; ++key)
        for (std::int64_t y = 1; y < cell_pixels; ++y)
          for (std::int64_t x = 1; x < cell_pixels; ++x)
            put(query * cell_pixels + y, key * cell_pixels + x, row[static_cast<std::size_t>(key)], 1);
      continue;
    }
    for (std::int64_t key = 0; key < N; ++key) {
      Colour& to = sum[static_cast<std::size_t>(key * size / N)];
      const Colour& from = row[static_cast<std::size_t>(key)];
      to = {to.r + from.r, to.g + from.g, to.b + from.b};
      weight[static_cast<std::size_t>(key * size / N)] += 1;
    }
    const std::int64_t y = query * size / N;
    if (query + 1 < N && (query + 1) * size / N == y)
      continue; // more rows belong to this line of pixels
    for (std::int64_t x = 0; x < size; ++x)
      put(y, x, sum[static_cast<std::size_t>(x)], weight[static_cast<std::size_t>(x)]);
    std::fill(sum.begin(), sum.end(), Colour{});
    std::fill(weight.begin(), weight.end(), 0.0);
  }
  write_png(path, size, size, 3, pixels.data());
}

bool reads(const PatternSet& set, const std::string& key) {
  return std::find(set.reads.begin(), set.reads.end(), key) != set.reads.end();
}

int show(const Options& options) {
  const LoadedConfig loaded = load_config(options.input, options.overrides, DataCheck::skipped);
  const Config& config = loaded.config;
  if (pattern_row(config.attention.pattern).operation)
    throw InputError(
        fmt::format("got attention.pattern = \"{}\", which is no softmax over a set of keys, so that there "
                    "is nothing to show; expected one of {}",
                    config.attention.pattern, joined(key_set_patterns(), ", ")));
  if (options.layer < 0 || options.layer >= config.model.layers)
    throw InputError(fmt::format("--layer: got {}, expected 0 to {} (model.layers = {})", options.layer,
                                 config.model.layers - 1, config.model.layers));
  if (options.head < 0 || options.head >= config.model.heads)
    throw InputError(fmt::format("--head: got {}, expected 0 to {} (model.heads = {})", options.head,
                                 config.model.heads - 1, config.model.heads));
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
  Console console;
  console.table(table);
  if (N <= widest_picture)
    console.line("  rows are queries, columns keys; # seen, . not seen\n" + letters(pattern, N));
  if (!options.csv.empty())
    write_csv(options.csv, pattern, N);
  if (!options.png.empty())
    write_picture(options.png, pattern, first_set(config, choice), N);
  return exit_done;
}

} // namespace

void add_pattern(CLI::App& app, std::function<int()>& action) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("pattern", "show the keys that each query of a layer and head really sees");
  add_input_options(*command, options->input, options->overrides);
  command->add_option("--layer", options->layer, "layer, from 0");
  command->add_option("--head", options->head, "head, from 0");
  command->add_option("--csv", options->csv, "write one line per query to this file: its position, then its keys");
  command->add_option("--png", options->png, "draw the connectivity matrix to this file");
  command->callback([options, &action] { action = [options] { return show(*options); }; });
}

} // namespace weft
