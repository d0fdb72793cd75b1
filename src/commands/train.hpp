#pragma once
#include <functional>

namespace CLI {
class App;
}

namespace weft {

/// `weft train INPUT.toml [section.key=value ...]`: trains, and continues a run that was stopped.
void add_train(CLI::App& app, std::function<int()>& action);

} // namespace weft
