// weft prepare listops | imdb: the arena's texts from their official files (design, section 3.8).
#pragma once
#include <functional>

namespace CLI {
class App;
}

namespace weft {

/// Adds the two tasks to `weft prepare`.
void add_prepare_arena_text(CLI::App& prepare, std::function<int()>& action);

} // namespace weft
