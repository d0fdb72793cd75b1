#pragma once
#include "config/parse.hpp"
#include <string>
#include <vector>

namespace weft {

/// The input that a checkpoint holds, under the overrides. Another attention may be asked for than the one trained
/// with; the position tables stay those of the checkpoint, even where their shape came from the attention's stride.
LoadedConfig evaluation_config(const std::string& text, const std::string& path, std::vector<std::string> overrides);

/// DataError unless the folder holds the split, which says whether the folder is there at all: a relative path that a
/// run keeps means another place from another folder.
void require_split(const std::string& folder, const std::string& split);

} // namespace weft
