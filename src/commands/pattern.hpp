// Prints and draws attention patterns.
#pragma once
#include <functional>

namespace CLI {
class App;
}

namespace weft {

/// `weft pattern INPUT.toml [key=value...] [--layer L --head H] [--csv F] [--png F]`: the keys each query really sees,
/// from the data that the attention engine is given. `weft pattern RUN|CHECKPOINT [--split S --row I] ...`: the same of
/// attention over hash buckets, for one row (pattern_of_run.hpp). Adds the subcommand; its callback sets `action`.
void add_pattern(CLI::App& app, std::function<int()>& action);

} // namespace weft
