#include "commands/settings.hpp"
#include "config/resolved.hpp"
#include "io/atomic_file.hpp"
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

void print_settings(Console& console, const Config& config, const Ranks& ranks, const std::vector<RankDevice>& devices,
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
  console.table(table);
}

void note_changes(Console& console, const RunFolder& folder, const std::string& resolved) {
  if (!std::filesystem::exists(folder.config()))
    return;
  const std::vector<Setting> before = settings_of(read_file(folder.config()));
  for (const Setting& now : settings_of(resolved)) {
    const auto was = std::find_if(before.begin(), before.end(),
                                  [&](const Setting& old) { return old.section == now.section && old.key == now.key; });
    if (was != before.end() && was->value != now.value)
      console.line(fmt::format("note: changed since the last start: {}.{} = {}, was {}", now.section, now.key,
                               now.value, was->value));
  }
}

} // namespace weft
