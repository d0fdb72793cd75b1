#include "commands/inspect.hpp"
#include "commands/find_checkpoint.hpp"
#include "commands/settings.hpp"
#include "commands/shared_options.hpp"
#include "io/checkpoint_file.hpp"
#include "io/console.hpp"
#include "io/error.hpp"
#include <CLI/CLI.hpp>
#include <algorithm>
#include <bit>
#include <cmath>
#include <fmt/format.h>

namespace weft {

namespace {

struct Options {
  std::string what, other;
  bool best = false, config = false, all = false;
};

std::string value_text(const Attribute& value) {
  if (const auto* integer = std::get_if<std::int64_t>(&value))
    return std::to_string(*integer);
  if (const auto* real = std::get_if<double>(&value))
    return fmt::format("{}", *real);
  return std::get<std::string>(value);
}

std::string shape_text(const ArrayInfo& array) { return fmt::format("({})", fmt::join(array.shape, ", ")); }

std::vector<float> read_array(const CheckpointFile& file, const ArrayInfo& array) {
  std::vector<float> values(static_cast<std::size_t>(array.elements()));
  file.read(array.name, values.data());
  return values;
}

int show(const Options& options) {
  const CheckpointFile file(find_checkpoint(options.what, options.best));
  if (options.config) {
    fmt::print("{}", file.text("config"));
    return exit_done;
  }
  Table about(file.path());
  for (const auto& [name, value] : file.attributes())
    about.row(name, name == "config" ? "the resolved input; --config prints it" : value_text(value));
  fmt::print("{}\n", about.text());
  std::size_t width = 0;
  for (const ArrayInfo& array : file.arrays())
    width = std::max(width, array.name.size());
  int damaged = 0;
  std::int64_t elements = 0;
  for (const ArrayInfo& array : file.arrays()) {
    std::string verdict = "good";
    try {
      read_array(file, array);
    } catch (const DataError&) {
      verdict = "DAMAGED";
      ++damaged;
    }
    elements += array.elements();
    if (options.all || verdict != "good")
      fmt::print("{:<{}}  {:<16}  {}  {}\n", array.name, width, shape_text(array), array.sha256, verdict);
  }
  if (damaged > 0)
    throw DataError(
        fmt::format("{} of {} arrays of {} are not what their SHA-256 says; a run passes this file over and "
                    "resumes from the checkpoint before it",
                    damaged, file.arrays().size(), file.path()));
  fmt::print("{}all {} arrays, {} numbers, are what their SHA-256 says{}\n", options.all ? "\n" : "",
             file.arrays().size(), exact_count(elements), options.all ? "" : " (--all lists them)");
  return exit_done;
}

/// Attributes that say where in its course a run is: those of two equal states are equal. The others say who, when and
/// where.
bool belongs_to_state(const std::string& name) {
  static const char* const names[] = {"step",
                                      "updates",
                                      "samples",
                                      "epoch",
                                      "skipped",
                                      "skipped_in_row",
                                      "stopped_early",
                                      "best_valid_loss",
                                      "best_valid_accuracy",
                                      "evaluations_without_better",
                                      "evaluated_at",
                                      "loss_scale",
                                      "loss_scale_good_steps",
                                      "format_version",
                                      "arrays"};
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

bool same(const Attribute& a, const Attribute& b) {
  const auto *x = std::get_if<double>(&a), *y = std::get_if<double>(&b);
  return x && y ? std::bit_cast<std::uint64_t>(*x) == std::bit_cast<std::uint64_t>(*y) : a == b;
}

/// Prints what differs; the number of differences in the state.
int compare_attributes(const CheckpointFile& left, const CheckpointFile& right) {
  int different = 0;
  Attributes all = left.attributes();
  all.insert(right.attributes().begin(), right.attributes().end());
  for (const auto& [name, unused] : all) {
    const auto a = left.attributes().find(name), b = right.attributes().find(name);
    const bool both = a != left.attributes().end() && b != right.attributes().end();
    if (both && same(a->second, b->second))
      continue;
    const auto text = [](bool there, auto found) { return there ? value_text(found->second) : std::string("absent"); };
    if (name == "config" && both) {
      fmt::print("note: the resolved inputs differ (weft inspect FILE --config prints one)\n");
      for (const std::string& change : setting_changes(value_text(a->second), value_text(b->second)))
        fmt::print("  {}\n", change);
    } else
      fmt::print("{}: attribute {}: {} and {}\n", belongs_to_state(name) ? "different" : "note", name,
                 text(a != left.attributes().end(), a), text(b != right.attributes().end(), b));
    different += belongs_to_state(name);
  }
  return different;
}

/// Where one array differs; empty where it does not.
std::string array_difference(const CheckpointFile& left, const CheckpointFile& right, const ArrayInfo& array) {
  const ArrayInfo* other = right.find(array.name);
  if (other == nullptr || other->shape != array.shape) {
    return fmt::format("{}: {} and {}", array.name, shape_text(array), other ? shape_text(*other) : "absent");
  }
  const std::vector<float> a = read_array(left, array), b = read_array(right, *other);
  std::int64_t differ = 0;
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (std::bit_cast<std::uint32_t>(a[i]) != std::bit_cast<std::uint32_t>(b[i])) {
      ++differ;
      const double distance = std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
      if (!std::isnan(largest) && !(distance <= largest)) // a NaN stays
        largest = distance;
    }
  return differ == 0 ? ""
                     : fmt::format("{}: {} of {} elements, by {:.3g} at most", array.name, differ, a.size(), largest);
}

int compare(const Options& options) {
  const CheckpointFile left(find_checkpoint(options.what, options.best));
  const CheckpointFile right(find_checkpoint(options.other, options.best));
  fmt::print("{}\n{}\n", left.path(), right.path());
  const int attributes = compare_attributes(left, right);
  int arrays = 0;
  constexpr int told = 10;
  const auto tell = [&](const std::string& difference) {
    if (!difference.empty() && (arrays++ < told || options.all))
      fmt::print("different: {}\n", difference);
  };
  std::vector<ArrayInfo> all = left.arrays(); // the weights first
  std::stable_partition(all.begin(), all.end(), [](const ArrayInfo& a) { return a.name.starts_with("parameters/"); });
  for (const ArrayInfo& array : all)
    tell(array_difference(left, right, array));
  for (const ArrayInfo& array : right.arrays())
    if (left.find(array.name) == nullptr)
      tell(fmt::format("{}: absent and {}", array.name, shape_text(array)));
  if (arrays > told && !options.all)
    fmt::print("and {} more arrays (--all lists them)\n", arrays - told);
  if (arrays + attributes == 0) {
    fmt::print("equal: all {} arrays and the state have the same bits\n", left.arrays().size());
    return exit_done;
  }
  fmt::print("different: {} of {} arrays, {} attributes of the state\n", arrays, left.arrays().size(), attributes);
  return exit_failure;
}

} // namespace

void add_inspect(CLI::App& app, std::function<int()>& action) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "inspect", "what a checkpoint holds, and whether it is whole (else status 4); or where two differ (status 1)");
  command->add_option("checkpoint", options->what, "a checkpoint file, or a run folder: its newest good one")
      ->required()
      ->type_name(run_word);
  command->add_option("other", options->other, "another one, to be compared bit by bit")->type_name(run_word);
  command->add_flag("--best", options->best, "of a run folder the checkpoint that was best on validation");
  command->add_flag("--all", options->all, "list every array with its SHA-256, or every one that differs");
  command->add_flag("--config", options->config, "print the resolved input that is stored in it, and nothing else");
  command->callback([options, &action] {
    action = [options] { return options->other.empty() ? show(*options) : compare(*options); };
  });
}

} // namespace weft
