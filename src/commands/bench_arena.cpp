#include "commands/bench_arena.hpp"
#include "commands/bench_step.hpp"
#include "commands/job.hpp"
#include "io/atomic_file.hpp"
#include "io/console.hpp"
#include "io/json.hpp"
#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fmt/format.h>
#include <limits>
#include <optional>
#include <sys/wait.h>
#include <unistd.h>

namespace weft {
namespace {

constexpr double none = std::numeric_limits<double>::quiet_NaN();
constexpr std::array<std::int64_t, 4> published_lengths = {1024, 2048, 3072, 4096};

/// Tay et al. 2020 (arXiv:2011.04006), table 2: the Text task, batch 32, on 4 x 4 TPU v3 chips. Sparse and Longformer
/// were emulated by dense masks there, and not measured.
struct Published {
  const char* model;
  std::array<double, 4> steps, gigabytes; ///< per second; peak per device
};
const Published published[] = {
    {"transformer", {8.1, 4.9, 2.3, 1.4}, {0.85, 2.65, 5.51, 9.48}},
    {"local", {9.2, 8.4, 7.4, 7.4}, {0.42, 0.76, 1.06, 1.37}},
    {"linformer", {9.3, 9.1, 8.5, 7.7}, {0.37, 0.55, 0.99, 0.99}},
    {"reformer", {4.4, 2.2, 1.5, 1.1}, {0.48, 0.99, 1.53, 2.28}},
    {"sinkhorn", {9.1, 7.9, 6.6, 5.3}, {0.47, 0.83, 1.13, 1.48}},
    {"synthesizer", {8.7, 5.7, 6.6, 1.9}, {0.65, 1.98, 4.09, 6.99}}, // 6.6: likely a misprint
    {"bigbird", {7.4, 3.9, 2.7, 1.5}, {0.77, 1.49, 2.18, 2.88}},
    {"linear", {9.1, 9.3, 8.6, 7.8}, {0.37, 0.57, 0.80, 1.03}},
    {"performer", {9.5, 9.4, 8.7, 8.0}, {0.37, 0.59, 0.82, 1.06}},
};

const Published* published_of(const std::string& model) {
  for (const Published& one : published)
    if (model == one.model)
      return &one;
  return nullptr;
}

struct Cell {
  std::int64_t N;
  StepTime step{none, none};
  double speed = none, memory = none;                     ///< multiples of the Transformer's
  double published_speed = none, published_memory = none; ///< likewise
};

struct Line {
  std::string model, path;
  std::vector<Cell> cells;
  /// Slope of log seconds against log N by least squares.
  double exponent() const {
    double n = 0, x = 0, y = 0, xx = 0, xy = 0;
    for (const Cell& cell : cells)
      if (std::isfinite(cell.step.seconds)) {
        const double lx = std::log(static_cast<double>(cell.N)), ly = std::log(cell.step.seconds);
        n += 1, x += lx, y += ly, xx += lx * lx, xy += lx * ly;
      }
    return n < 2 ? none : (n * xy - x * y) / (n * xx - x * x);
  }
};

std::vector<Line> lines_of(const ArenaBench& options) {
  std::error_code error;
  if (!std::filesystem::is_directory(options.folder, error))
    throw InputError(fmt::format("--arena: got {}, expected a folder of input files, such as inputs/lra/text",
                                 options.folder.empty() ? "nothing" : options.folder));
  std::vector<Line> lines;
  for (const auto& entry : std::filesystem::directory_iterator(options.folder)) {
    const std::string model = entry.path().stem().string();
    if (entry.path().extension() == ".toml" && model != "base")
      lines.push_back({model, entry.path().string(), {}});
  }
  if (lines.empty())
    throw InputError(fmt::format("--arena: got {}, in which there is no input file (*.toml)", options.folder));
  std::sort(lines.begin(), lines.end(), [](const Line& a, const Line& b) {
    return std::make_pair(a.model != "transformer", a.model) < std::make_pair(b.model != "transformer", b.model);
  });
  for (Line& line : lines)
    for (const std::int64_t N : options.lengths)
      line.cells.push_back({N});
  return lines;
}

/// In a process of its own. Before MPI and the kernels' runtime start here, or the copy would have half of them.
StepTime time_apart(const std::string& input, const std::vector<std::string>& overrides, bool quick) {
  int ends[2];
  if (pipe(ends) != 0)
    throw Error(exit_failure, std::string("cannot make a pipe: ") + std::strerror(errno));
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child < 0)
    throw Error(exit_failure, std::string("cannot start a process: ") + std::strerror(errno));
  if (child == 0) {
    close(ends[0]);
    int status = exit_failure;
    try {
      status = run_job([&](const Ranks& ranks) {
        const StepTime time = time_step(ranks, input, overrides, quick);
        return write(ends[1], &time, sizeof time) == sizeof time ? exit_done : exit_failure;
      });
    } catch (const Error& error) {
      print_error("", error.what());
    }
    _exit(status);
  }
  close(ends[1]);
  StepTime time{none, none};
  if (read(ends[0], &time, sizeof time) != sizeof time)
    time = {none, none};
  close(ends[0]);
  waitpid(child, nullptr, 0);
  return time;
}

void measure(std::vector<Line>& lines, const ArenaBench& options, Console& console) {
  for (std::size_t i = 0; i < options.lengths.size(); ++i)
    for (Line& line : lines) {
      std::vector<std::string> overrides;
      for (const std::string& one : options.overrides)
        if (const std::size_t colon = one.find(':'); colon < one.find('=')) {
          if (one.substr(0, colon) == line.model)
            overrides.push_back(one.substr(colon + 1));
        } else {
          overrides.push_back(one);
        }
      for (const auto& [key, value] :
           {std::make_pair("model.context", options.lengths[i]), std::make_pair("training.batch", options.batch),
            std::make_pair("training.micro_batch", options.batch)})
        overrides.push_back(fmt::format("{}={}", key, value));
      console.progress(fmt::format("{} at N = {}", line.model, options.lengths[i]));
      line.cells[i].step = time_apart(line.path, overrides, options.quick);
    }
}

void compare(std::vector<Line>& lines) {
  const Published* base = published_of("transformer");
  for (Line& line : lines)
    for (std::size_t i = 0; i < line.cells.size(); ++i) {
      Cell& cell = line.cells[i];
      if (lines.front().model == "transformer") {
        const StepTime& reference = lines.front().cells[i].step;
        cell.speed = reference.seconds / cell.step.seconds;
        cell.memory = cell.step.peak_bytes / reference.peak_bytes;
      }
      const auto at = std::find(published_lengths.begin(), published_lengths.end(), cell.N);
      if (const Published* known = published_of(line.model); known && at != published_lengths.end()) {
        const auto k = static_cast<std::size_t>(at - published_lengths.begin());
        cell.published_speed = known->steps[k] / base->steps[k];
        cell.published_memory = known->gigabytes[k] / base->gigabytes[k];
      }
    }
}

std::string multiple(double value) { return std::isfinite(value) ? fmt::format("{:.2f}", value) : "-"; }

void print(const std::vector<Line>& lines, Console& console, std::int64_t batch) {
  console.line(
      fmt::format("training steps of {} sequences; x: as a multiple of the Transformer's, (published)", batch));
  console.line(fmt::format("{:<14} {:>6} {:>10} {:>6} {:>11} {:>11} {:>6} {:>11} {:>8}", "model", "N", "steps/s", "x",
                           "(published)", "memory", "x", "(published)", "time"));
  for (const Line& line : lines)
    for (const Cell& cell : line.cells) {
      const bool last = &cell == &line.cells.back();
      const bool known = std::isfinite(cell.step.seconds);
      console.line(fmt::format("{:<14} {:>6} {:>10} {:>6} {:>11} {:>11} {:>6} {:>11} {:>8}", line.model, cell.N,
                               known ? fmt::format("{:.3g}", 1 / cell.step.seconds) : "failed", multiple(cell.speed),
                               "(" + multiple(cell.published_speed) + ")",
                               known ? human_bytes(cell.step.peak_bytes) : "-", multiple(cell.memory),
                               "(" + multiple(cell.published_memory) + ")",
                               last && std::isfinite(line.exponent()) ? fmt::format("N^{:.2f}", line.exponent()) : ""));
    }
}

void write_json(const std::vector<Line>& lines, const ArenaBench& options) {
  std::string rows;
  for (const Line& line : lines)
    for (const Cell& cell : line.cells) {
      JsonObject row("    ");
      row.add("model", json_text(line.model))
          .add("input", json_text(line.path))
          .add("N", std::to_string(cell.N))
          .add("batch", std::to_string(options.batch))
          .add("seconds", json_number(cell.step.seconds))
          .add("peak_bytes", json_number(cell.step.peak_bytes))
          .add("speed", json_number(cell.speed))
          .add("memory", json_number(cell.memory))
          .add("published_speed", json_number(cell.published_speed))
          .add("published_memory", json_number(cell.published_memory))
          .add("exponent", json_number(line.exponent()));
      rows += (rows.empty() ? "\n    " : ",\n    ") + row.json();
    }
  AtomicFile file(options.json);
  file.write("{\n  \"arena\": [" + rows + "\n  ]\n}\n");
  file.commit();
}

} // namespace

int bench_arena(const ArenaBench& options) {
  std::vector<Line> lines = lines_of(options);
  Console console;
  measure(lines, options, console);
  compare(lines);
  print(lines, console, options.batch);
  if (!options.json.empty())
    write_json(lines, options);
  for (const Line& line : lines)
    for (const Cell& cell : line.cells)
      if (!std::isfinite(cell.step.seconds))
        return exit_failure;
  return exit_done;
}

} // namespace weft
