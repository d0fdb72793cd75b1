// Options that several commands take, and what they say of them.
#pragma once
#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace weft {

/// Of a command that reads an input file.
inline void add_input_options(CLI::App& command, std::string& input, std::vector<std::string>& overrides) {
  command.add_option("input", input, "the input file (TOML)")->required();
  command.add_option("overrides", overrides, "section.key=value, after the file; the later one wins");
}

/// Of a command that works on what was trained.
inline void add_run_options(CLI::App& command, std::string& run, std::vector<std::string>& overrides) {
  command.add_option("run", run, "a run folder or a checkpoint file")->required();
  command.add_option("overrides", overrides, "section.key=value, over the stored input");
}

} // namespace weft
