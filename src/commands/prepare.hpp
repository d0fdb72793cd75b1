// weft prepare: official raw files to folders of shards.
#pragma once
#include <functional>

namespace CLI {
class App;
}

namespace weft {

/// Adds `prepare TASK --from RAW... --to DIR [--shards K] [--allow-partial | --test DIR]` to the command line; when it
/// was chosen, `action` is set to what it does. The action returns an exit status or throws weft::Error.
void add_prepare(CLI::App& app, std::function<int()>& action);

} // namespace weft
