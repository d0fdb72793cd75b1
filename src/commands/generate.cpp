#include "commands/generate.hpp"
#include "commands/generate_pathfinder.hpp"
#include <CLI/CLI.hpp>

namespace weft {

void add_generate(CLI::App& app, std::function<int()>& action) {
  CLI::App* generate = app.add_subcommand("generate", "data sets that are drawn: pathfinder");
  generate->require_subcommand(1);
  add_generate_pathfinder(*generate, action);
}

} // namespace weft
