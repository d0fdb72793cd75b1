// Any files as one stream of bytes.
#pragma once
#include "io/raw/byte_stream.hpp"

namespace weft {

/// Prepares `folder` from the bytes of all files in the order given (compressed files and all members of archives are
/// unpacked): the first 90 % are train, the next 5 % valid, the rest test. DataError below 20 bytes.
Prepared prepare_text(const std::vector<std::string>& raw, const std::string& folder, int shards);

} // namespace weft
