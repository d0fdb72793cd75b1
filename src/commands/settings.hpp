// What a start tells of its settings.
#pragma once
#include "config/config.hpp"
#include "io/console.hpp"
#include "parallel/devices.hpp"
#include "parallel/ranks.hpp"
#include "training/run_folder.hpp"
#include <string>
#include <vector>

namespace weft {

/// The keys that are not at their default, and the machine.
void print_settings(Console& console, const Config& config, const Ranks& ranks, const std::vector<RankDevice>& devices,
                    const std::string& transport);

/// Where the new input (`resolved`: to_toml) differs from the one the run was started with.
void note_changes(Console& console, const RunFolder& folder, const std::string& resolved);

} // namespace weft
