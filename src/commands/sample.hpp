#pragma once
#include <functional>

namespace CLI {
class App;
}

namespace weft {

/// `weft sample RUN|CHECKPOINT [section.key=value ...] [options]`: text to stdout, images to a PNG grid
/// (docs/sampling.md).
void add_sample(CLI::App& app, std::function<int()>& action);

} // namespace weft
