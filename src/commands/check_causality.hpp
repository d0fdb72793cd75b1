#pragma once
#include "config/config.hpp"
#include <string>

namespace weft {

/// `weft check --causality`: measures which bytes every slot sees (training/causality.hpp), prints the finding, draws
/// the matrix of slots (down) and bytes (across) to `png` and lists the targets in `csv`, where these are not empty.
/// Returns exit_done for an honest model, exit_failure for one that sees what it must not.
/// Throws InputError where N is too long for N + 1 passes.
int check_causality(const Config& config, const std::string& csv, const std::string& png);

} // namespace weft
