#include "io/raw/text.hpp"
#include "io/atomic_file.hpp"
#include "io/error.hpp"
#include <fmt/core.h>

namespace weft {

Prepared prepare_text(const std::vector<std::string>& raw, const std::string& folder, int shards) {
  if (raw.empty())
    throw InputError("no files to prepare; give them after --from");
  check_target(folder);
  const StopGuard guard;
  AtomicFolder built(folder);
  StagedBytes bytes(built.temporary());
  int files = 0;
  std::vector<std::string> packed;
  for (const std::string& path : raw)
    files += stage(bytes, path, INT64_MAX, &packed);
  Prepared prepared = write_byte_splits(built, folder, bytes, shards, "text");
  prepared.note = fmt::format("{} file{}, {} bytes", files, files == 1 ? "" : "s", bytes.size());
  for (const std::string& name : packed)
    prepared.note += fmt::format("\nnote: {} is compressed once more inside, and its bytes were taken as they are; "
                                 "unpack it first if its text is meant",
                                 name);
  return prepared;
}

} // namespace weft
