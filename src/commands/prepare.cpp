#include "commands/prepare.hpp"
#include "commands/prepare_arena_text.hpp"
#include "commands/prepare_pictures.hpp"
#include "commands/prepared_report.hpp"
#include "commands/shared_options.hpp"
#include "io/error.hpp"
#include "io/raw/cifar10.hpp"
#include "io/raw/enwik8.hpp"
#include "io/raw/images.hpp"
#include "io/raw/text.hpp"
#include <CLI/CLI.hpp>
#include <fmt/core.h>
#include <memory>
#include <string>
#include <vector>

namespace weft {
namespace {

struct Options {
  std::vector<std::string> from;
  std::string to, test;
  int shards = 1;
  bool allow_partial = false;
};

/// The one file or folder of a task that takes no more.
const std::string& only_source(const Options& options, const std::string& task) {
  if (options.from.size() != 1)
    throw InputError(
        fmt::format("prepare {} takes one file or folder after --from, got {}", task, options.from.size()));
  return options.from.front();
}

CLI::App* add_task(CLI::App& prepare, const std::string& name, const std::string& help, Options& options) {
  CLI::App* task = prepare.add_subcommand(name, help);
  add_sources(*task, options.from, "raw files (images: the folder) as downloaded, plain or compressed");
  add_target(*task, options.to);
  task->add_option("--shards", options.shards, "files per split")
      ->check(CLI::Range(1, most_shards))
      ->capture_default_str();
  return task;
}

} // namespace

void add_prepare(CLI::App& app, std::function<int()>& action) {
  CLI::App* prepare = app.add_subcommand("prepare", "official raw files to HDF5 shards");
  prepare->require_subcommand(1);
  const auto options = std::make_shared<Options>();

  CLI::App* enwik8 = add_task(*prepare, "enwik8",
                              "the first 10^8 bytes of Wikipedia: the official enwik8.zip, a .gz or the plain file; "
                              "size and MD5 are verified; splits of 90, 5 and 5 %",
                              *options);
  enwik8->add_flag("--allow-partial", options->allow_partial, "take a shorter file, which cannot be verified");
  enwik8->callback([options, &action] {
    action = [options] {
      return report(
          prepare_enwik8(only_source(*options, "enwik8"), options->to, options->shards, options->allow_partial),
          options->to);
    };
  });

  CLI::App* text = add_task(*prepare, "text",
                            "any files, in the order given, as one stream of bytes; splits of 90, 5 "
                            "and 5 %",
                            *options);
  text->callback([options, &action] {
    action = [options] { return report(prepare_text(options->from, options->to, options->shards), options->to); };
  });

  CLI::App* cifar10 =
      add_task(*prepare, "cifar10",
               "cifar-10-binary.tar.gz or cifar-10-python.tar.gz, or the .tar or folder of one of them; "
               "the MD5 of an official archive is verified; splits of 48,000, 2,000 and 10,000 images",
               *options);
  cifar10->add_flag("--allow-partial", options->allow_partial,
                    "take fewer batches or images; 4 % of training are valid");
  cifar10->callback([options, &action] {
    action = [options] {
      return report(
          prepare_cifar10(only_source(*options, "cifar10"), options->to, options->shards, options->allow_partial),
          options->to);
    };
  });

  CLI::App* images =
      add_task(*prepare, "images", "a folder of PNG files of one size, turned into 8-bit RGB; splits of 90, 5 and 5 %",
               *options);
  images
      ->add_option("--test", options->test, "a folder whose files are the test split; then 4 % of the others are valid")
      ->type_name(folder_word)
      ->check([](const std::string& got) { return got.empty() ? "got no name, expected a folder" : ""; });
  images->callback([options, &action] {
    action = [options] {
      return report(prepare_images(only_source(*options, "images"), options->test, options->to, options->shards),
                    options->to);
    };
  });
  add_prepare_arena_text(*prepare, action);
  add_prepare_pictures(*prepare, action);
}

} // namespace weft
