// weft generate pathfinder: drawn pictures for the arena's Pathfinder task.
#pragma once
#include <functional>

namespace CLI {
class App;
}

namespace weft {

/// Adds `pathfinder --to DIR [--examples T,V,E] [--seed S] [--size 32] [--contour 14] [--png DIR] [--shards K]` to
/// `weft generate`; when it was chosen, `action` is set to what it does.
void add_generate_pathfinder(CLI::App& generate, std::function<int()>& action);

} // namespace weft
