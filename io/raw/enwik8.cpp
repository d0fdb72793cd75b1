#include "io/raw/enwik8.hpp"
#include "io/atomic_file.hpp"
#include "io/error.hpp"
#include <fmt/core.h>

namespace weft {

Prepared prepare_enwik8(const std::string& raw, const std::string& folder, int shards, bool allow_partial,
                        const KnownFile& known) {
  check_target(folder);
  const StopGuard guard;
  AtomicFolder built(folder);
  StagedBytes bytes(built.temporary());
  const int members = stage(bytes, raw, known.bytes);
  if (members != 1)
    throw DataError(
        fmt::format("{} holds {} files, expected the one file enwik8; it is another archive", raw, members));
  const bool verified = bytes.size() == known.bytes && bytes.md5() == known.md5;
  std::string note = fmt::format("verified: {} bytes, MD5 {}", bytes.size(), bytes.md5());
  if (!verified) {
    const std::string got = fmt::format("{} bytes with MD5 {}, expected {} bytes with MD5 {}", bytes.size(),
                                        bytes.md5(), known.bytes, known.md5);
    if (bytes.size() == known.bytes)
      throw DataError(fmt::format("{} is not enwik8: got {}; it is damaged: download it again", raw, got));
    if (!allow_partial)
      throw DataError(fmt::format("{} is not the whole of enwik8: got {}; download it again, or give --allow-partial "
                                  "to use these bytes as they are",
                                  raw, got));
    note = fmt::format("not verified (--allow-partial): got {}", got);
  }
  Prepared prepared = write_byte_splits(built, folder, bytes, shards, "enwik8");
  prepared.note = note;
  return prepared;
}

} // namespace weft
