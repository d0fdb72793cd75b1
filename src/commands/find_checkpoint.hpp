#pragma once
#include "config/config.hpp"
#include <string>

namespace weft {

/// The checkpoint that a person means by `what`: the file itself, or of a run folder the newest good one, or with
/// `best` the one that was best on validation. Throws InputError where there is neither, DataError where the folder
/// holds no good one.
std::string find_checkpoint(const std::string& what, bool best);

/// The checkpoint that model.init_from names; empty where it names none or the run has one of its own to go on from.
std::string find_initial_weights(const Config& config);

} // namespace weft
