#pragma once
#include <string>

namespace weft {

/// The checkpoint that a person means by `what`: the file itself, or of a run folder the newest good one, or with
/// `best` the one that was best on validation. Throws InputError where there is neither, DataError where the folder
/// holds no good one.
std::string find_checkpoint(const std::string& what, bool best);

} // namespace weft
