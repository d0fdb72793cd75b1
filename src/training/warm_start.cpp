#include "training/warm_start.hpp"
#include "config/keys.hpp"
#include "config/parse.hpp"
#include "config/resolved.hpp"
#include "io/checkpoint_file.hpp"
#include "io/console.hpp"
#include "io/error.hpp"
#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace weft {
namespace {

const std::string prefix = "parameters/";

std::string shape_text(const std::vector<std::int64_t>& shape) { return "(" + joined(shape, ", ") + ")"; }

/// "a, b, c, and 12 more".
std::string some_of(const std::vector<std::string>& names, const std::string& between = ", ") {
  constexpr std::size_t most = 12;
  if (names.size() <= most + 1)
    return joined(names, between);
  return joined(std::vector<std::string>(names.begin(), names.begin() + most), between) +
         fmt::format("{}and {} more", between, names.size() - most);
}

} // namespace

bool is_head(const std::string& name) { return name.rfind("output.", 0) == 0 || name.rfind("head.", 0) == 0; }

WarmStart plan_warm_start(const std::string& checkpoint, const ParameterList& parameters, const Config& config) {
  const CheckpointFile file(checkpoint);
  WarmStart start;
  start.checkpoint = checkpoint;
  start.parts = config.model.init_parts;
  start.step = file.integer("step");
  const bool all = start.parts == "all";
  std::vector<std::string> wrong;
  for (const Parameter& p : parameters.all()) {
    if (!all && is_head(p.name)) {
      start.kept.push_back(p.name);
      continue;
    }
    const ArrayInfo* array = file.find(prefix + p.name);
    if (array == nullptr)
      wrong.push_back(fmt::format("{}: got none, expected {}", p.name, shape_text(p.shape)));
    else if (array->shape != p.shape)
      wrong.push_back(fmt::format("{}: got {}, expected {}", p.name, shape_text(array->shape), shape_text(p.shape)));
    else {
      start.loaded.push_back(p.name);
      start.numbers += p.size;
    }
  }
  for (const ArrayInfo& array : file.arrays()) {
    if (array.name.rfind(prefix, 0) != 0)
      continue;
    const std::string name = array.name.substr(prefix.size());
    const auto is_it = [&](const Parameter& p) { return p.name == name; };
    if (std::any_of(parameters.all().begin(), parameters.all().end(), is_it) && (all || !is_head(name)))
      continue;
    start.unused.push_back(name);
    if (all || !is_head(name))
      wrong.push_back(fmt::format("{}: got {}, expected none", name, shape_text(array.shape)));
  }
  start.differences = model_differences(from_toml_text(file.text("config"), file.path()), config);
  if (wrong.empty())
    return start;
  std::string text =
      fmt::format("model.init_from: {} holds other parameters than {}:\n  {}", checkpoint,
                  all ? "the model of the input" : "the model of the input without its head", some_of(wrong, "\n  "));
  for (const std::string& difference : start.differences)
    text += "\n  " + difference;
  if (all)
    text += "\nmodel.init_parts = \"body\" leaves the head out";
  throw InputError(text);
}

void load_warm_start(const WarmStart& start, Buffer<float>& weights, const ParameterList& parameters) {
  const CheckpointFile file(start.checkpoint);
  std::vector<float> host;
  for (const Parameter& p : parameters.all()) {
    if (std::find(start.loaded.begin(), start.loaded.end(), p.name) == start.loaded.end())
      continue;
    host.resize(static_cast<std::size_t>(p.size));
    file.read(prefix + p.name, host.data());
    if (!std::all_of(host.begin(), host.end(), [](float x) { return std::isfinite(x); }))
      throw DataError(
          fmt::format("model.init_from: {} of {} holds numbers that are not finite, expected the weights of "
                      "a run that went well",
                      p.name, start.checkpoint));
    copy_to_device(weights.data() + p.offset, host.data(), host.size() * sizeof(float));
  }
}

std::string WarmStart::text() const {
  std::string out = fmt::format("initial weights from {} (step {}): {} of {} tensors, {} numbers", checkpoint, step,
                                loaded.size(), loaded.size() + kept.size(), exact_count(numbers));
  if (!kept.empty())
    out += "; left at their initial value: " + some_of(kept);
  if (!unused.empty())
    out += "; not used: " + some_of(unused);
  return out;
}

} // namespace weft
