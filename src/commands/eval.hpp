#pragma once
#include <functional>

namespace CLI {
class App;
}

namespace weft {

/// `weft eval RUN|CHECKPOINT [section.key=value ...] [--split S] [--best]`: loss, bits per token and accuracy on a
/// split.
void add_eval(CLI::App& app, std::function<int()>& action);

} // namespace weft
