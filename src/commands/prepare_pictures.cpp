#include "commands/prepare_pictures.hpp"
#include "commands/prepared_report.hpp"
#include "commands/shared_options.hpp"
#include "io/console.hpp"
#include "io/error.hpp"
#include "io/raw/aan.hpp"
#include "io/raw/grey_cifar10.hpp"
#include "io/raw/pathfinder.hpp"
#include <CLI/CLI.hpp>
#include <algorithm>
#include <fmt/core.h>
#include <memory>

namespace weft {
namespace {

struct Options {
  std::vector<std::string> from;
  std::string to, copy = "inner";
  std::vector<std::int64_t> examples;
  GreyRequest image;
  PathfinderRequest pathfinder;
  AanRequest aan;

  const std::string& only(const char* task) const {
    if (from.size() != 1)
      throw InputError(fmt::format("prepare {} takes one file or folder after --from, got {}", task, from.size()));
    return from.front();
  }
  std::array<std::int64_t, 3> sizes() const {
    std::array<std::int64_t, 3> three{};
    std::copy(examples.begin(), examples.end(), three.begin());
    return three;
  }
};

CLI::App* add_task(CLI::App& prepare, const std::string& name, const std::string& help, Options& options, int& shards) {
  CLI::App* task = prepare.add_subcommand(name, help);
  add_sources(*task, options.from, "archive or folder as downloaded");
  add_target(*task, options.to);
  task->add_option("--shards", shards, "files per split")->check(CLI::Range(1, most_shards))->capture_default_str();
  return task;
}

void add_examples(CLI::App* task, Options& options, const std::string& help) {
  task->add_option("--examples", options.examples, "TRAIN,VALID,TEST: " + help)
      ->delimiter(',')
      ->expected(3)
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{INT32_MAX}));
}

/// Runs `make` with a console that has ended its line before the report.
template <class Make>
int told(const std::string& folder, const Make& make) {
  Prepared prepared;
  {
    Console console;
    prepared = make(&console);
  }
  return report(prepared, folder);
}

} // namespace

void add_prepare_pictures(CLI::App& prepare, std::function<int()>& action) {
  const auto options = std::make_shared<Options>();
  CLI::App* image =
      add_task(prepare, "image",
               "CIFAR-10 in grey, ten classes, the arena's Image task: what prepare cifar10 takes; splits "
               "of 45,000, 5,000 and 10,000 images",
               *options, options->image.shards);
  image->add_option("--size", options->image.size, "pixels of a side: 32, 16 or 8; smaller ones are means of blocks")
      ->capture_default_str();
  image->add_flag("--allow-partial", options->image.allow_partial,
                  "take fewer batches or images; 10 % of training are valid");
  add_examples(image, *options, "the first so many of each split; default all");
  image->callback([options, &action] {
    action = [options] {
      options->image.examples = options->sizes();
      return told(options->to, [&](Console* console) {
        return prepare_image(options->only("image"), options->to, options->image, console);
      });
    };
  });

  CLI::App* pathfinder = add_task(prepare, "pathfinder",
                                  "Pathfinder and Path-X: lra_release.gz as it is, its folder, or the tree of "
                                  "weft generate pathfinder --png; splits of 80, 10 and 10 %",
                                  *options, options->pathfinder.shards);
  pathfinder->add_option("--size", options->pathfinder.size, "pixels of a side: 32, 64, 128 (Path-X) or 256")
      ->capture_default_str();
  pathfinder->add_option("--difficulty", options->pathfinder.difficulty, "the folder below pathfinder<size>")
      ->capture_default_str();
  pathfinder->add_option("--copy", options->copy, "inner or outer, where the source holds two copies")
      ->check(CLI::IsMember({"inner", "outer"}))
      ->capture_default_str();
  add_examples(pathfinder, *options, "other sizes of the splits");
  pathfinder->callback([options, &action] {
    action = [options] {
      options->pathfinder.examples = options->sizes();
      options->pathfinder.inner = options->copy == "inner";
      return told(options->to, [&](Console* console) {
        return prepare_pathfinder(options->only("pathfinder"), options->to, options->pathfinder, console);
      });
    };
  });

  CLI::App* aan = add_task(prepare, "aan",
                           "pairs of papers as bytes, two classes, the arena's Retrieval task: lra_release.gz as it "
                           "is, its folder tsv_data or the three files new_aan_pairs.*.tsv",
                           *options, options->aan.shards);
  aan->add_option("--length", options->aan.length, "bytes of each text, padded; longer ones lose their end")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  aan->callback([options, &action] {
    action = [options] {
      return told(options->to,
                  [&](Console* console) { return prepare_aan(options->from, options->to, options->aan, console); });
    };
  });
}

} // namespace weft
