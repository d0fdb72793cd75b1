#include "commands/generate_pathfinder.hpp"
#include "commands/prepared_report.hpp"
#include "commands/shared_options.hpp"
#include "io/console.hpp"
#include "io/generate/pathfinder_set.hpp"
#include <CLI/CLI.hpp>
#include <memory>

namespace weft {

void add_generate_pathfinder(CLI::App& generate, std::function<int()>& action) {
  struct Options {
    std::string to;
    std::vector<std::int64_t> examples;
    PathfinderSetRequest request;
  };
  const auto options = std::make_shared<Options>();
  CLI::App* task = generate.add_subcommand(
      "pathfinder", "pictures of two dashed contours among short ones: are both discs on one? two classes");
  add_target(*task, options->to);
  task->add_option("--examples", options->examples, "TRAIN,VALID,TEST: how many; default 160000,20000,20000")
      ->delimiter(',')
      ->expected(3);
  task->add_option("--seed", options->request.seed, "the same seed gives the same data")->capture_default_str();
  task->add_option("--size", options->request.size, "pixels of a side: 16, 32, 64, 128 or 256")->capture_default_str();
  task->add_option("--contour", options->request.contour,
                   "strokes of each of the two contours; default 14 (16 pixels: 5); distractors have a third")
      ->check(CLI::Range(2, 1000));
  task->add_option("--png", options->request.png, "a folder for the same pictures as the official tree")
      ->type_name(folder_word);
  task->add_option("--shards", options->request.shards, "files per split")
      ->check(CLI::Range(1, most_shards))
      ->capture_default_str();
  task->callback([options, &action] {
    action = [options] {
      if (!options->examples.empty())
        std::copy(options->examples.begin(), options->examples.end(), options->request.examples.begin());
      Prepared prepared;
      {
        Console console;
        prepared = generate_pathfinder(options->to, options->request, &console);
      }
      return report(prepared, options->to);
    };
  });
}

} // namespace weft
