// enwik8: the first 10^8 bytes of an English Wikipedia dump, as distributed for the Large Text Compression Benchmark.
#pragma once
#include "io/raw/byte_stream.hpp"
#include <cstdint>
#include <string>

namespace weft {

/// What a whole file must be.
struct KnownFile {
  std::int64_t bytes;
  std::string md5;
};
inline const KnownFile enwik8_file{100'000'000, "a1fa5ffddb56f4953e226637dabbb36a"};

/// Prepares `folder` from the official zip, a compressed or the plain file. The whole file is verified by size and MD5;
/// anything else is a DataError that says what was got and expected, unless `allow_partial`, which takes a shorter file
/// unverified. The first 90 % of the bytes are train, the next 5 % valid, the rest test. `known` is there for tests.
Prepared prepare_enwik8(const std::string& raw, const std::string& folder, int shards, bool allow_partial,
                        const KnownFile& known = enwik8_file);

} // namespace weft
