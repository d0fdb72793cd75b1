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

/// The keys that are not at their default, and the machine: a table.
std::string settings_text(const Config& config, const Ranks& ranks, const std::vector<RankDevice>& devices,
                          const std::string& transport);

/// Every key of a resolved input (to_toml) as "section.key = value".
std::vector<std::string> setting_lines(const std::string& resolved);

/// Keys in which two resolved inputs (to_toml) differ: "optimizer.clip = 0.5, was 1.0".
std::vector<std::string> setting_changes(const std::string& before, const std::string& now);

/// InputError where a run would go on from this checkpoint ("": none) with another data set, seed or batch than it was
/// written with and run.changes does not say so: its figures would then be of no one setting. data_sha256: of the
/// training split.
void require_same_run(const std::string& checkpoint, const Config& config, const std::string& data_sha256);

/// Where the new input (`resolved`: to_toml) differs from the one the run was started with.
void note_changes(Console& console, const RunFolder& folder, const std::string& resolved);

} // namespace weft
