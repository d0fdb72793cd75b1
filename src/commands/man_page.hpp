// `weft help --man`: the man page weft(1), from the tables of commands and keys.
#pragma once
#include <CLI/CLI.hpp>
#include <string>

namespace weft {

/// In the language of man(7).
std::string man_page(const CLI::App& app);

} // namespace weft
