#include "commands/runs.hpp"
#include "commands/provenance.hpp"
#include "commands/shared_options.hpp"
#include "io/console.hpp"
#include "io/error.hpp"
#include "io/folder_lock.hpp"
#include "io/metrics.hpp"
#include "training/run_folder.hpp"
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fmt/format.h>
#include <memory>
#include <numbers>
#include <optional>

namespace weft {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::vector<std::string> folders{"runs"};
  bool csv = false;
};

/// One line of the list.
struct Run {
  std::string name, state;
  std::int64_t step = 0, steps = 0; ///< taken, planned (0: not known)
  bool accuracy = false;            ///< what the run goes by; else bits
  double valid = not_measured;      ///< the best one
  double test = not_measured;
  double seconds = 0;                 ///< all steps together
  double seconds_left = not_measured; ///< of a run that goes on
};

bool is_run(const fs::path& folder) {
  const RunFolder run(folder.string());
  return fs::is_regular_file(run.config()) && (fs::exists(run.provenance()) || fs::exists(run.metrics()));
}

/// What the metrics tell. Throws DataError where they are damaged.
void read_metrics(const std::string& path, Run& run) {
  const Metrics metrics = Metrics::load(path);
  const auto attribute = [&](const char* name) -> std::optional<Attribute> {
    const auto found = metrics.attributes().find(name);
    return found == metrics.attributes().end() ? std::nullopt : std::optional(found->second);
  };
  if (const auto steps = attribute("planned_steps"); steps && std::holds_alternative<std::int64_t>(*steps))
    run.steps = std::get<std::int64_t>(*steps);
  run.accuracy = attribute("score") == Attribute(std::string("accuracy"));
  for (const StepRow& row : metrics.steps()) {
    run.step = row.step;
    if (std::isfinite(row.seconds))
      run.seconds += row.seconds;
  }
  for (const EpochRow& row : metrics.epochs()) {
    const double score = run.accuracy ? row.valid_accuracy : row.valid_loss / std::numbers::ln2;
    if (std::isfinite(score))
      run.valid = std::isnan(run.valid) ? score
                  : run.accuracy        ? std::max(run.valid, score)
                                        : std::min(run.valid, score);
  }
  run.test = run.accuracy ? metrics.test_accuracy() : metrics.test_loss() / std::numbers::ln2;
}

Run look_at(const fs::path& path, bool& damaged) {
  const RunFolder folder(path.string());
  Run run;
  run.name = path.filename().string();
  const bool going_on = FolderLock::holder(folder.path).has_value();
  const std::string end = how_ended(folder.provenance());
  run.state = going_on ? "running" : end.empty() ? "no end: killed, or its node was lost" : end;
  try {
    if (fs::exists(folder.metrics()))
      read_metrics(folder.metrics(), run);
  } catch (const DataError& error) {
    run.state += fmt::format("; {}", error.what());
    damaged = true;
  }
  if (going_on && run.step > 0 && run.steps > run.step)
    run.seconds_left = run.seconds / static_cast<double>(run.step) * static_cast<double>(run.steps - run.step);
  return run;
}

std::vector<fs::path> folders_of_runs(const std::vector<std::string>& folders) {
  std::vector<fs::path> found;
  for (const std::string& folder : folders) {
    if (!fs::is_directory(folder))
      throw InputError(
          fmt::format("there is no folder {} here; expected the folder of run.directory, or a run folder", folder));
    if (is_run(folder)) {
      found.push_back(fs::path(folder).has_filename() ? fs::path(folder) : fs::path(folder).parent_path());
      continue;
    }
    for (const auto& entry : fs::directory_iterator(folder, fs::directory_options::skip_permission_denied))
      if (entry.is_directory() && is_run(entry.path()))
        found.push_back(entry.path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::string score_text(const Run& run, double score) {
  if (!std::isfinite(score))
    return "-";
  return run.accuracy ? fmt::format("{:.2f} %", 100 * score) : fmt::format("{:.4f} bits", score);
}

void print_table(const std::vector<Run>& runs) {
  std::vector<std::vector<std::string>> cells{{"run", "step", "best valid", "test", "time", "left", "state"}};
  for (const Run& run : runs)
    cells.push_back(
        {run.name,
         run.steps > 0 ? fmt::format("{} of {}", exact_count(run.step), exact_count(run.steps)) : exact_count(run.step),
         score_text(run, run.valid), score_text(run, run.test), human_seconds(run.seconds),
         std::isnan(run.seconds_left) ? "-" : human_seconds(run.seconds_left), run.state});
  std::vector<std::size_t> widths(cells.front().size());
  for (const auto& row : cells)
    for (std::size_t i = 0; i + 1 < row.size(); ++i) // the last one may be long
      widths[i] = std::max(widths[i], row[i].size());
  for (const auto& row : cells) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i)
      line += i == 0 || i + 1 == row.size() ? fmt::format("{:<{}}  ", row[i], widths[i])
                                            : fmt::format("{:>{}}  ", row[i], widths[i]);
    fmt::print("{}\n", line.substr(0, line.find_last_not_of(' ') + 1));
  }
}

void print_csv(const std::vector<Run>& runs) {
  const auto number = [](double value) { return std::isfinite(value) ? fmt::format("{}", value) : std::string(); };
  const auto quoted = [](std::string text) {
    for (std::size_t at = text.find('"'); at != std::string::npos; at = text.find('"', at + 2))
      text.insert(at, 1, '"');
    return "\"" + text + "\"";
  };
  fmt::print("run,step,planned_steps,score,best_valid,test,seconds,seconds_left,state\n");
  for (const Run& run : runs)
    fmt::print("{},{},{},{},{},{},{},{},{}\n", quoted(run.name), run.step,
               run.steps > 0 ? std::to_string(run.steps) : "", run.accuracy ? "accuracy" : "bits", number(run.valid),
               number(run.test), run.seconds, number(run.seconds_left), quoted(run.state));
}

int list_runs(const Options& options) {
  const std::vector<fs::path> folders = folders_of_runs(options.folders);
  std::vector<Run> runs;
  bool damaged = false;
  for (const fs::path& folder : folders)
    runs.push_back(look_at(folder, damaged));
  if (options.csv)
    print_csv(runs);
  else if (runs.empty())
    fmt::print("no run in {}\n", fmt::join(options.folders, ", "));
  else
    print_table(runs);
  return damaged ? exit_data : exit_done;
}

} // namespace

void add_runs(CLI::App& app, std::function<int()>& action) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "runs", "the runs in a folder: how far, how good, how much time is left, and how the last start ended");
  command->add_option("folders", options->folders, "folders of runs, or single runs (default: runs)")
      ->type_name(folder_word);
  command->add_flag("--csv", options->csv, "exact numbers, comma-separated, under a line of names");
  command->callback([options, &action] { action = [options] { return list_runs(*options); }; });
}

} // namespace weft
