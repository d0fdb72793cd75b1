#include "commands/prepare_arena_text.hpp"
#include "commands/listops_options.hpp"
#include "commands/prepared_report.hpp"
#include "commands/shared_options.hpp"
#include "io/console.hpp"
#include "io/raw/imdb.hpp"
#include "io/raw/listops.hpp"
#include <CLI/CLI.hpp>
#include <memory>

namespace weft {
namespace {

struct Options {
  std::vector<std::string> from;
  std::string to, tokens = "lra";
  ListOpsShape listops;
  ListOpsCharacters characters;
  std::int64_t listops_held_out = -1;
  ImdbShape imdb;
};

CLI::App* add_task(CLI::App& prepare, const std::string& name, const std::string& help, Options& options, int& shards) {
  CLI::App* task = prepare.add_subcommand(name, help);
  add_sources(*task, options.from, "archives, folders or files as downloaded, plain or compressed");
  add_target(*task, options.to);
  task->add_option("--shards", shards, "files per split")->check(CLI::Range(1, most_shards))->capture_default_str();
  return task;
}

} // namespace

void add_prepare_arena_text(CLI::App& prepare, std::function<int()>& action) {
  const auto options = std::make_shared<Options>();
  constexpr std::int64_t longest = 1 << 24;

  CLI::App* listops =
      add_task(prepare, "listops",
               "ListOps: basic_train.tsv, basic_val.tsv, basic_test.tsv of the Long Range Arena "
               "(lra_release.gz as it is, its folder or the files), or train_d20s.tsv and test_d20s.tsv "
               "of 2018; every label is computed again",
               *options, options->listops.shards);
  add_listops_text(*listops, options->tokens, options->characters);
  listops
      ->add_option(
          "--length", options->listops.length,
          "tokens per row, padded; longer ones lose their end; default 2000, brackets and blind 6000, words 8000")
      ->check(CLI::Range(std::int64_t{1}, longest));
  listops
      ->add_option("--held-out", options->listops_held_out,
                   "where there is no valid file: so many training rows are valid; 0: the test rows are; default 4 %")
      ->check(CLI::NonNegativeNumber);
  listops->callback([options, &action] {
    action = [options] {
      options->listops.tokens = listops_tokens_named(options->tokens);
      Prepared prepared;
      {
        Console console;
        prepared = prepare_listops(options->from, options->to, options->listops, options->listops_held_out, &console,
                                   options->characters);
      }
      return report(prepared, options->to);
    };
  });

  CLI::App* imdb = add_task(prepare, "imdb",
                            "IMDb reviews as bytes, two classes: aclImdb_v1.tar.gz or its folder aclImdb; the arena's "
                            "Text task",
                            *options, options->imdb.shards);
  imdb->add_option("--length", options->imdb.length, "bytes per row, padded; longer reviews lose their end")
      ->check(CLI::Range(std::int64_t{1}, longest))
      ->capture_default_str();
  imdb->add_option("--held-out", options->imdb.held_out,
                   "so many training reviews are the valid split; 0: valid is the test split, as in the arena")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  imdb->add_flag("--allow-partial", options->imdb.allow_partial, "take fewer reviews than the 50,000");
  imdb->callback([options, &action] {
    action = [options] {
      Prepared prepared;
      {
        Console console;
        prepared = prepare_imdb(options->from, options->to, options->imdb, &console);
      }
      return report(prepared, options->to);
    };
  });
}

} // namespace weft
