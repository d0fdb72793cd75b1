// The command line as data, for the completion of a shell and the man page: both read what --help reads.
#pragma once
#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace weft {

/// One option or positional argument.
struct WordOf {
  std::vector<std::string> names; ///< "-v", "--verbose"; empty: an argument that stands for itself
  std::string title;              ///< what its value is called: "FILE", "RUN", "train|valid|test"; empty: a flag
  std::vector<std::string> words; ///< all that the value may be; empty: not a list
  std::string help, initial;      ///< initial: the default, where --help tells it
  bool many = false, required = false;
};

/// A command with its path: "weft", "weft prepare", "weft prepare text".
struct CommandOf {
  std::string path, help;
  std::vector<WordOf> words;         ///< in the order of --help
  std::vector<std::string> commands; ///< the next word
};

/// The program and every command below it, in the order of --help.
std::vector<CommandOf> commands_of(const CLI::App& app);

} // namespace weft
