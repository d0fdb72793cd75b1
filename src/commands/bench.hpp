#pragma once
#include <functional>

namespace CLI {
class App;
}

namespace weft {

/// `weft bench [--quick] [--json F]`: matrix products, and attention forward and backward for each pattern against N,
/// each beside its floor: the same operations at the rate of a matrix product, measured in the same run.
void add_bench(CLI::App& app, std::function<int()>& action);

} // namespace weft
