#pragma once
#include <functional>

namespace CLI {
class App;
}

namespace weft {

/// `weft check INPUT.toml [section.key=value ...]`: parses and validates the input and prints parameters, memory, work
/// and an estimate of the time of a step. Nothing is trained and nothing written; the data set need not be there.
void add_check(CLI::App& app, std::function<int()>& action);

} // namespace weft
