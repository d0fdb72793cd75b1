// `weft completion`: what makes a shell complete commands, options, keys, words, input files and runs.
#pragma once
#include <CLI/CLI.hpp>
#include <functional>
#include <string>

namespace weft {

void add_completion(CLI::App& app, std::function<int()>& action);

/// A script for bash 4 or newer.
std::string bash_completion(const CLI::App& app);

} // namespace weft
