// What `weft prepare` and `weft generate` say when a data set is there.
#pragma once
#include "io/raw/byte_stream.hpp"
#include <string>

namespace weft {

/// Prints the note, where the set lies, and its splits with their SHA-256. Returns exit_done.
int report(const Prepared& prepared, const std::string& folder);

} // namespace weft
