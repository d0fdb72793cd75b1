// What weft prepare listops and weft generate listops both take.
#pragma once
#include "io/raw/listops_text.hpp"
#include <CLI/CLI.hpp>

namespace weft {

inline void add_listops_text(CLI::App& task, std::string& tokens, ListOpsCharacters& characters) {
  task.add_option(
          "--tokens", tokens,
          "lra (17 tokens), lra2020 (16, without brackets), brackets (19), blind (15, operators unknown), words "
          "(23, [ and the operator apart)")
      ->check(CLI::IsMember(listops_tokens_names()))
      ->capture_default_str();
  task.add_option("--min-characters", characters.least,
                  "kept are expressions whose official text, parentheses and blanks included, has so many or more")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  task.add_option("--max-characters", characters.below, "and fewer than so many; 0: any")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
}

} // namespace weft
