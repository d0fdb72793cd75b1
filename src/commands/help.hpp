// What an input file can say.
#pragma once
#include <functional>
#include <string>

namespace CLI {
class App;
}

namespace weft {

/// `weft help [KEY|SECTION|PREFIX] [--markdown]`: adds the subcommand; its callback sets `action`.
void add_help(CLI::App& app, std::function<int()>& action);

/// Help on a key, a section or every key beginning with `what` (empty: all). Throws InputError naming the nearest key.
std::string help_text(const std::string& what);

/// docs/input.md; of "attention.pattern", the table of patterns in docs/attention.md. InputError for anything else.
std::string help_markdown(const std::string& what = "");

} // namespace weft
