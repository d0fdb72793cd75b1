#include "commands/settings.hpp"
#include "config/keys.hpp"
#include "config/parse.hpp"
#include "config/resolved.hpp"
#include "io/atomic_file.hpp"
#include "io/checkpoint_file.hpp"
#include "io/error.hpp"
#include "kernels/common/memory.hpp"
#include <algorithm>
#include <filesystem>
#include <fmt/core.h>
#include <sstream>
#include <utility>

namespace weft {

namespace {
struct Setting {
  std::string section, key, value;
};

/// The lines of a resolved input (to_toml), without what they say of their keys.
std::vector<Setting> settings_of(const std::string& resolved) {
  std::vector<Setting> all;
  std::istringstream text(resolved);
  std::string section;
  for (std::string line; std::getline(text, line);) {
    const std::size_t equals = line.find(" = ");
    if (!line.empty() && line.front() == '[')
      section = line.substr(1, line.find(']') - 1);
    else if (equals != std::string::npos) {
      const std::size_t end = line.find_last_not_of(' ', line.rfind(" # "));
      all.push_back({section, line.substr(0, equals), line.substr(equals + 3, end - equals - 2)});
    }
  }
  return all;
}
} // namespace

std::string settings_text(const Config& config, const Ranks& ranks, const std::vector<RankDevice>& devices,
                          const std::string& transport) {
  Table table("settings (those not at their default; all of them are in config.toml)");
  const std::vector<Setting> resolved = settings_of(to_toml(config)), defaults = settings_of(to_toml(Config{}));
  std::string section;
  for (std::size_t i = 0; i < resolved.size(); ++i) {
    const Setting& one = resolved[i];
    if (one.value == defaults[i].value)
      continue;
    if (one.section != std::exchange(section, one.section))
      table.heading("[" + section + "]");
    table.row(one.key, one.value);
  }
  table.heading("machine");
  table.row("ranks", std::to_string(ranks.size()));
  table.row("kernels", Runtime::description());
  for (const std::string& line : device_lines(devices))
    table.row("device", line);
  table.row("gradient sums", transport);
  return table.text();
}

std::vector<std::string> setting_lines(const std::string& resolved) {
  std::vector<std::string> lines;
  for (const Setting& one : settings_of(resolved))
    lines.push_back(fmt::format("{}.{} = {}", one.section, one.key, one.value));
  return lines;
}

std::vector<std::string> setting_changes(const std::string& before, const std::string& now) {
  const std::vector<Setting> old = settings_of(before);
  std::vector<std::string> changes;
  for (const Setting& one : settings_of(now)) {
    const auto was = std::find_if(old.begin(), old.end(),
                                  [&](const Setting& it) { return it.section == one.section && it.key == one.key; });
    if (was != old.end() && was->value != one.value)
      changes.push_back(fmt::format("{}.{} = {}, was {}", one.section, one.key, one.value, was->value));
  }
  return changes;
}

void require_same_run(const std::string& checkpoint, const Config& config, const std::string& data_sha256) {
  if (checkpoint.empty() || config.run.changes)
    return;
  const CheckpointFile file(checkpoint);
  const Config before = from_toml_text(file.text("config"), checkpoint);
  std::vector<std::string> other;
  if (before.run.seed != config.run.seed)
    other.push_back(fmt::format("run.seed = {}, was {}", config.run.seed, before.run.seed));
  if (before.training.batch != config.training.batch)
    other.push_back(fmt::format("training.batch = {}, was {}", config.training.batch, before.training.batch));
  const auto &rows = config.data, &old = before.data;
  if (rows.fraction != old.fraction || rows.min_length != old.min_length || rows.max_length != old.max_length)
    other.push_back("other rows of the data set (data.fraction, data.min_length, data.max_length)");
  if (file.attributes().count("data_sha256") > 0 && file.text("data_sha256") != data_sha256)
    other.push_back(fmt::format("another data set in {}", config.data.path));
  if (!other.empty())
    throw InputError(fmt::format("the run would go on from {} with {}; set run.changes=true if that is meant, "
                                 "run.fresh=true to start over, or another run.name",
                                 checkpoint, joined(other, ", ")));
}

void note_changes(Console& console, const RunFolder& folder, const std::string& resolved) {
  if (!std::filesystem::exists(folder.config()))
    return;
  for (const std::string& change : setting_changes(read_file(folder.config()), resolved))
    console.line("note: changed since the last start: " + change);
}

} // namespace weft
