// weft generate TASK --to DIR: data sets that are drawn, not downloaded (design, section 3.8).
#pragma once
#include <functional>

namespace CLI {
class App;
}

namespace weft {

/// Adds the subcommand; when the command line names it, `action` does the work and returns the exit status.
void add_generate(CLI::App& app, std::function<int()>& action);

} // namespace weft
