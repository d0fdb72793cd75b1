#include "commands/metrics.hpp"
#include "commands/shared_options.hpp"
#include "io/error.hpp"
#include "io/json.hpp"
#include "io/metrics.hpp"
#include "training/run_folder.hpp"
#include <CLI/CLI.hpp>
#include <cmath>
#include <filesystem>
#include <fmt/format.h>
#include <memory>
#include <numbers>

namespace weft {
namespace {

struct Options {
  std::string run;
  bool csv = false, jsonl = false, evaluations = false;
};

/// One line per row; what was not measured, or is no finite number, is an empty field.
template <class Row>
void print_csv(const std::vector<Row>& rows) {
  std::string heading = "step";
  for (const auto& [name, unused] : columns_of(Row{}))
    heading += fmt::format(",{}", name);
  fmt::print("{}\n", heading);
  for (const Row& row : rows) {
    std::string line = std::to_string(row.step);
    for (const auto& [unused, value] : columns_of(row))
      line += std::isfinite(value) ? fmt::format(",{}", value) : ",";
    fmt::print("{}\n", line);
  }
}

void print_json(const char* kind, const std::string& step, const ColumnValues& values) {
  std::string line = fmt::format("{{\"kind\": {}", json_text(kind));
  if (!step.empty())
    line += ", \"step\": " + step;
  for (const auto& [name, value] : values)
    line += fmt::format(", {}: {}", json_text(name), json_number(value));
  fmt::print("{}}}\n", line);
}

/// Steps and evaluations in the order in which they were made, and the test split's scores last.
void print_jsonl(const Metrics& metrics, bool evaluations_only) {
  auto evaluation = metrics.epochs().begin();
  const auto evaluations_until = [&](std::int64_t step) {
    for (; evaluation != metrics.epochs().end() && evaluation->step <= step; ++evaluation)
      print_json("evaluation", std::to_string(evaluation->step), columns_of(*evaluation));
  };
  if (!evaluations_only)
    for (const StepRow& row : metrics.steps()) {
      evaluations_until(row.step - 1);
      print_json("step", std::to_string(row.step), columns_of(row));
    }
  evaluations_until(std::numeric_limits<std::int64_t>::max());
  if (metrics.has_final())
    print_json("test", "",
               {{"test_loss", metrics.test_loss()},
                {"test_bits", metrics.test_loss() / std::numbers::ln2},
                {"test_accuracy", metrics.test_accuracy()}});
}

int print_metrics(const Options& options) {
  namespace fs = std::filesystem;
  const std::string path = fs::is_directory(options.run) ? RunFolder(options.run).metrics() : options.run;
  if (!fs::is_regular_file(path))
    throw InputError(fs::is_directory(options.run)
                         ? fmt::format("there is no metrics.h5 in {}: it is no run folder, or its run has not taken a "
                                       "step; weft runs DIR lists runs",
                                       options.run)
                         : fmt::format("{} is neither a run folder nor a metrics.h5", options.run));
  const Metrics metrics = Metrics::load(path);
  if (options.jsonl)
    print_jsonl(metrics, options.evaluations);
  else if (options.evaluations)
    print_csv(metrics.epochs());
  else
    print_csv(metrics.steps());
  return exit_done;
}

} // namespace

void add_metrics(CLI::App& app, std::function<int()>& action) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("metrics", "what a run measured, as CSV or JSON lines on standard output");
  command->add_option("run", options->run, "a run folder or a metrics.h5")->required()->type_name(run_word);
  auto* csv = command->add_flag("--csv", options->csv, "a line per step under a line of names (what happens anyway)");
  command->add_flag("--jsonl", options->jsonl, "a JSON object per line: steps, evaluations, scores on the test split")
      ->excludes(csv);
  command->add_flag("--evaluations", options->evaluations, "the evaluations on the validation split, not the steps");
  command->callback([options, &action] { action = [options] { return print_metrics(*options); }; });
}

} // namespace weft
