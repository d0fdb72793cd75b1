// Options that several commands take, and what they say of them.
#pragma once
#include <CLI/CLI.hpp>
#include <cstdio>
#include <initializer_list>
#include <string>
#include <vector>

namespace weft {

// What the word of an option or argument names, in the help and for the completion of a shell.
constexpr const char *file_word = "FILE", *folder_word = "FOLDER", *input_word = "INPUT", *run_word = "RUN",
                     *override_word = "KEY=VALUE", *key_word = "KEY";

/// Of a command that reads an input file.
inline void add_input_options(CLI::App& command, std::string& input, std::vector<std::string>& overrides) {
  command.add_option("input", input, "the input file (TOML)")->required()->type_name(input_word);
  command.add_option("overrides", overrides, "section.key=value, after the file; the later one wins")
      ->type_name(override_word);
}

/// Of a command that works on what was trained.
inline void add_run_options(CLI::App& command, std::string& run, std::vector<std::string>& overrides) {
  command.add_option("run", run, "a run folder or a checkpoint file")->required()->type_name(run_word);
  command.add_option("overrides", overrides, "section.key=value, over the stored input")->type_name(override_word);
}

/// Raw files, behind --from or on their own.
CLI::Option* add_sources(CLI::App& command, std::vector<std::string>& from, const std::string& help);

/// The folder of a data set that is to be made.
CLI::Option* add_target(CLI::App& command, std::string& to);

/// A file that is to be written. Its folder must be there: a misspelt one is told before the work and not made.
CLI::Option* add_output(CLI::App& command, const std::string& name, std::string& path, const std::string& help);

/// The same where - is the standard output; what else the command says must then go to the stream of talk().
CLI::Option* add_output_or_stdout(CLI::App& command, const std::string& name, std::string& path,
                                  const std::string& help);

/// Where a command talks to a person: the standard error if one of its outputs is -, else the standard output.
std::FILE* talk(std::initializer_list<std::string> outputs);

} // namespace weft
