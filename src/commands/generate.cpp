#include "commands/generate.hpp"
#include "commands/generate_pathfinder.hpp"
#include "commands/listops_options.hpp"
#include "commands/prepared_report.hpp"
#include "commands/shared_options.hpp"
#include "io/console.hpp"
#include "io/error.hpp"
#include "io/generate/copy.hpp"
#include "io/generate/listops.hpp"
#include "io/generate/pairs.hpp"
#include <CLI/CLI.hpp>
#include <fmt/core.h>
#include <memory>

namespace weft {
namespace {

constexpr std::int64_t longest = 1 << 24;

/// What all tasks take.
struct Common {
  std::string to;
  std::vector<std::int64_t> examples;
  std::uint64_t seed = 0;
  int shards = 1;

  /// What it says of every request.
  template <class Request>
  void complete(Request& request) const {
    request.examples = sizes(request.examples);
    request.seed = seed;
    request.shards = shards;
  }
  std::array<std::int64_t, 3> sizes(const std::array<std::int64_t, 3>& otherwise) const {
    return examples.empty() ? otherwise : std::array<std::int64_t, 3>{examples[0], examples[1], examples[2]};
  }
};

CLI::App* add_task(CLI::App& generate, const std::string& name, const std::string& help, Common& common,
                   const std::string& examples) {
  CLI::App* task = generate.add_subcommand(name, help);
  add_target(*task, common.to);
  task->add_option("--examples", common.examples, "TRAIN,VALID,TEST: how many; default " + examples)
      ->delimiter(',')
      ->expected(3)
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{INT32_MAX}));
  task->add_option("--seed", common.seed, "the same seed gives the same data")->capture_default_str();
  task->add_option("--shards", common.shards, "files per split")
      ->check(CLI::Range(1, most_shards))
      ->capture_default_str();
  return task;
}

/// Runs `make` with a console that has ended its line before the report.
template <class Make>
int told(const Common& common, const Make& make) {
  Prepared prepared;
  {
    Console console;
    prepared = make(&console);
  }
  return report(prepared, common.to);
}

struct ListOpsOptions : Common {
  std::string kind = "arena", tokens = "lra", tsv;
  CLI::Option *depth = nullptr, *arguments = nullptr, *shortest = nullptr, *most = nullptr;
  ListOpsRule rule;
  std::int64_t length = 0;

  Prepared make(Console* console) const {
    const bool d20 = kind == "2018";
    ListOpsRequest request;
    // What the command line does not name follows the kind.
    const auto chosen = [&](const CLI::Option* option, int given, int arena, int original) {
      return !option->empty() ? given : d20 ? original : arena;
    };
    request.rule = {chosen(depth, rule.max_depth, 10, 20), chosen(arguments, rule.max_arguments, 10, 5),
                    chosen(shortest, rule.min_length, 500, 0), chosen(most, rule.max_length, 2000, 0), rule.characters};
    request.examples = sizes(d20 ? std::array<std::int64_t, 3>{86'400, 3'600, 10'000} : request.examples);
    request.seed = seed;
    request.form = d20 ? ListOpsForm::d20 : ListOpsForm::arena;
    request.tsv = tsv;
    return generate_listops(to, request, {listops_tokens_named(tokens), length, shards}, console);
  }
};

void add_listops(CLI::App& generate, std::function<int()>& action) {
  const auto options = std::make_shared<ListOpsOptions>();
  CLI::App* task = add_task(generate, "listops", "nested lists of digits and their value, ten classes", *options,
                            "96000,2000,2000 (2018: 86400,3600,10000)");
  task->add_option("--kind", options->kind,
                   "arena: the Long Range Arena's; 2018: the original, depth 20, 5 arguments, any length")
      ->check(CLI::IsMember({"arena", "2018"}))
      ->capture_default_str();
  options->depth = task->add_option("--max-depth", options->rule.max_depth,
                                    "at this depth there are only digits; default 10 (2018: 20)")
                       ->check(CLI::Range(1, 60));
  options->arguments =
      task->add_option("--max-arguments", options->rule.max_arguments, "of a list, at least 2; default 10 (2018: 5)")
          ->check(CLI::Range(2, 1000));
  options->shortest = task->add_option("--min-length", options->rule.min_length,
                                       "kept are expressions of more symbols, parentheses not counted; default 500 "
                                       "(2018: 0)")
                          ->check(CLI::Range(0, most_listops_symbols));
  options->most =
      task->add_option("--max-length", options->rule.max_length, "and of fewer; 0: any; default 2000 (2018: 0)")
          ->check(CLI::Range(0, most_listops_symbols));
  add_listops_text(*task, options->tokens, options->rule.characters);
  task->add_option("--length", options->length,
                   "tokens per row, padded; default --max-length (brackets, blind: three times that; words: four "
                   "times), or 2000 (6000; 8000) without it")
      ->check(CLI::Range(std::int64_t{1}, longest));
  task->add_option("--tsv", options->tsv, "a folder for the same examples as official files")->type_name(folder_word);
  task->callback([options, &action] {
    action = [options] { return told(*options, [&](Console* console) { return options->make(console); }); };
  });
}

void add_copy(CLI::App& generate, std::function<int()>& action) {
  const auto common = std::make_shared<Common>();
  const auto request = std::make_shared<CopyRequest>();
  CLI::App* task =
      add_task(generate, "copy", "0 w 0 w of random symbols, the Reformer's task", *common, "12800,1280,1280");
  task->add_option("--length", request->length, "tokens per row, an even number")
      ->check(CLI::Range(std::int64_t{4}, longest))
      ->capture_default_str();
  task->add_option("--symbols", request->symbols, "different symbols in w; the vocabulary has one more")
      ->check(CLI::Range(1, 65'534))
      ->capture_default_str();
  task->add_flag("--same-rows", request->same_rows,
                 "valid and test repeat the first rows of train, as in the published reproduction");
  task->callback([common, request, &action] {
    action = [common, request] {
      common->complete(*request);
      return told(*common, [&](Console* console) { return generate_copy(common->to, *request, console); });
    };
  });
}

void add_pairs(CLI::App& generate, std::function<int()>& action) {
  const auto common = std::make_shared<Common>();
  const auto request = std::make_shared<PairsRequest>();
  CLI::App* task = add_task(
      generate, "pairs", "beginning and end of one text or of two, two classes: a stand-in for the arena's Retrieval",
      *common, "one for each document, of which 80, 10 and 10 % are the splits");
  add_sources(*task, request->from, "folders or archives of texts; every file is a document");
  task->add_option("--ending", request->ending, "only files whose name ends so, such as .txt");
  task->add_option("--length", request->length, "bytes of each of the two")
      ->check(CLI::Range(std::int64_t{1}, longest))
      ->capture_default_str();
  task->callback([common, request, &action] {
    action = [common, request] {
      common->complete(*request);
      return told(*common, [&](Console* console) { return generate_pairs(common->to, *request, console); });
    };
  });
}

} // namespace

void add_generate(CLI::App& app, std::function<int()>& action) {
  CLI::App* generate = app.add_subcommand("generate", "data sets that are drawn: listops, pathfinder, copy, pairs");
  generate->require_subcommand(1);
  add_listops(*generate, action);
  add_generate_pathfinder(*generate, action);
  add_copy(*generate, action);
  add_pairs(*generate, action);
}

} // namespace weft
