#pragma once
#include "config/parse.hpp"
#include <string>
#include <vector>

namespace weft {

/// The input that a checkpoint holds, under the overrides. Another attention may be asked for than the one trained
/// with; the position tables stay those of the checkpoint, even where their shape came from the attention's stride.
LoadedConfig evaluation_config(const std::string& text, const std::string& path, std::vector<std::string> overrides);

} // namespace weft
