#pragma once
#include <functional>

namespace CLI {
class App;
}

namespace weft {

/// `weft inspect CHECKPOINT [OTHER]`: what a checkpoint says of itself, its arrays and whether each is what was written
/// (status 4 where one is not); or where two checkpoints differ, bit by bit (status 0 equal, 1 different).
void add_inspect(CLI::App& app, std::function<int()>& action);

} // namespace weft
