#pragma once
#include <functional>

namespace CLI {
class App;
}

namespace weft {

/// `weft metrics RUN [--csv | --jsonl] [--evaluations]`: what metrics.h5 of a run holds, as text for other programs.
void add_metrics(CLI::App& app, std::function<int()>& action);

} // namespace weft
