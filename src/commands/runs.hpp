#pragma once
#include <functional>

namespace CLI {
class App;
}

namespace weft {

/// `weft runs [DIR...] [--csv]`: the runs in folders, whether they are going on, how far they are and how good.
void add_runs(CLI::App& app, std::function<int()>& action);

} // namespace weft
