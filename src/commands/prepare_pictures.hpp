// weft prepare image | pathfinder | aan: the arena's pictures, and its pairs of papers.
#pragma once
#include <functional>

namespace CLI {
class App;
}

namespace weft {

/// Adds the three tasks to `weft prepare`; when one was chosen, `action` is set to what it does.
void add_prepare_pictures(CLI::App& prepare, std::function<int()>& action);

} // namespace weft
