#include "commands/check.hpp"
#include "commands/check_causality.hpp"
#include "commands/find_checkpoint.hpp"
#include "commands/job.hpp"
#include "commands/shared_options.hpp"
#include "config/parse.hpp"
#include "config/resolved.hpp"
#include "io/shards.hpp"
#include "kernels/common/memory.hpp"
#include "tasks/made_up.hpp"
#include "tasks/resolve.hpp"
#include "training/resources.hpp"
#include "training/run_length.hpp"
#include "training/trial_step.hpp"
#include "training/warm_start.hpp"
#include <CLI/CLI.hpp>
#include <filesystem>
#include <fmt/core.h>

namespace weft {

namespace {
struct Options {
  std::string input;
  std::vector<std::string> overrides;
  int ranks = 1;
  bool resolved = false, causality = false;
  std::string csv, png; ///< of the causality check
};

/// By running micro-batches where that is quick, else from the rate of matrix products.
TimePlan plan_time(const Config& config, Model& model, const Task& task, int ranks, const MemoryPlan& memory,
                   std::int64_t steps) {
  TimePlan plan{measure_matrix_rate(config), 0, false, config.training.batch * task.shape().row_tokens(), steps};
  plan.step = expected_step_seconds(config, model, ranks, plan.rate.best);
  if (const auto seconds = trial_step_seconds(config, model, task, ranks, plan.step, memory.total())) {
    plan.step = *seconds;
    plan.measured = true;
  }
  return plan;
}

/// Why there is no training split to read. InputError where there can be none.
std::string data_is_missing(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::exists(path, ignored) && !std::filesystem::is_directory(path, ignored))
    throw InputError("data.path: got " + path +
                     ", which is a file, expected the folder of a data set; weft prepare makes one of raw files");
  return std::filesystem::exists(path, ignored) ? ": a folder without a training split (weft prepare makes one)"
                                                : ": not there yet (weft prepare makes it)";
}

int check(const Options& options) {
  const std::string& input = options.input;
  const int ranks = options.ranks;
  LoadedConfig loaded = load_config(input, options.overrides, DataCheck::skipped);
  resolve_from_data(loaded.config);
  const Config& config = loaded.config;
  if (options.causality)
    return check_causality(config, options.csv, options.png);
  const bool data_is_there = has_split(config.data.path, "train");
  const std::string missing = data_is_there ? "" : data_is_missing(config.data.path);
  Console console;
  if (options.resolved) {
    console.line(to_toml(config));
    return exit_done;
  }
  require_build(config, !device_is_host);
  require_slots(config, ranks);
  use_isa(config.debug.isa, "debug.isa");
  const Runtime runtime;
  const std::unique_ptr<Model> model = make_model(config);
  const std::unique_ptr<Task> train = data_is_there ? open_task(config, "train") : std::make_unique<MadeUp>(config);
  RunLength length{};
  if (data_is_there) {
    length = run_length(config, *train);
    train->require_known(config.model.vocabulary);
  }
  const std::string initial = find_initial_weights(config);
  const WarmStart warm = initial.empty() ? WarmStart{} : plan_warm_start(initial, model->parameters(), config);
  const MemoryPlan memory = plan_memory(config, *model, ranks);
  const TimePlan time = plan_time(config, *model, *train, ranks, memory, length.steps);
  console.line(resources_text(config, *model, memory, time));
  for (const std::string& note : {memory_note(memory), threads_note(), busy_note(time.rate)})
    if (!note.empty())
      console.line("note: " + note);
  if (data_is_there) {
    console.line(fmt::format("data {}: {} training {}, {} steps per epoch, {} steps in all", config.data.path,
                             exact_count(train->size()), train->unit(), length.steps_per_epoch, length.steps));
  } else {
    console.line("data " + config.data.path + missing);
  }
  if (!initial.empty())
    console.line(warm.text());
  console.line(input + ": the input is right");
  return exit_done;
}
} // namespace

void add_check(CLI::App& app, std::function<int()>& action) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("check", "check an input file: parameters, memory, work, time; no run");
  add_input_options(*command, options->input, options->overrides);
  command->add_option("--ranks", options->ranks, "ranks to plan for")->check(CLI::Range(1, 1000000));
  command->add_flag("--resolved", options->resolved, "print every key with its value and stop");
  CLI::Option* causality = command->add_flag(
      "--causality", options->causality,
      "instead: change every byte of a window and tell which slots see it; status 1 if a slot sees what it predicts");
  add_output_or_stdout(*command, "--csv", options->csv, "with --causality: a line per target")->needs(causality);
  add_output(
      *command, "--png", options->png,
      "with --causality: draw which slot sees which byte, a pixel or square for each, slots downwards, bytes to the "
      "right; white: not seen, blue: seen as it may be, red: seen by the slot that predicts it or before")
      ->needs(causality);
  command->callback([options, &action] { action = [options] { return check(*options); }; });
}

} // namespace weft
