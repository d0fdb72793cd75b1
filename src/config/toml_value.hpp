// Values of TOML and members of Config.
#pragma once
#include "config/keys.hpp"
#include <string>
#include <toml++/toml.h>

namespace weft {

/// "12 (an integer)", "'big' (text)", ...: what stands in the file.
std::string got_text(const toml::node& node);

/// Stores the node's value behind the key; false if it is of another type. Integers are numbers too.
bool assign(const toml::node& node, const Member& member);

} // namespace weft
