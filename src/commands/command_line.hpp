// The command line as a whole: all subcommands, and what is said of words that it does not know.
#pragma once
#include <CLI/CLI.hpp>
#include <functional>
#include <string>

namespace weft {

constexpr const char* exit_status_text =
    "Exit status: 0 done; 2 wrong input, nothing started; 3 the numbers went bad; 4 a data or checkpoint file\n"
    "is damaged or missing; 75 stopped on request after a checkpoint, requeue me; 1 anything else.";

/// Every subcommand of weft; the one that was called leaves in `action` what is to be done.
void add_commands(CLI::App& app, std::function<int()>& action);

/// Version, commit, build options, libraries, and how threads wait.
std::string full_version_text();

/// What CLI11 says of a wrong command line in this program's words: got, expected, and the nearest name.
std::string explained(const CLI::App& app, const CLI::ParseError& error, int argc, char** argv);

/// One message of CLI11, reworded: "--budget: Value 0 not in range 0.001000 to 5.000000" is "--budget: got 0, expected
/// 0.001 to 5". `command` knows the options. What is not recognised comes back as it is.
std::string reworded(const CLI::App& command, const std::string& message);

} // namespace weft
