#pragma once
#include <functional>

namespace CLI {
class App;
}

namespace weft {

/// `weft bench [--quick] [--only PART...] [--lengths N,...] [--budget S] [--json F]`: attention per pattern against N,
/// matrix products, and every pass over memory, each beside its floor: the same operations at the rate of a matrix
/// product, or the same bytes at the rate of a copy, measured in the same run. `weft bench INPUT.toml [key=value...]`:
/// whole training steps instead.
void add_bench(CLI::App& app, std::function<int()>& action);

} // namespace weft
