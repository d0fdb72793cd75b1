#include "commands/prepared_report.hpp"
#include "io/error.hpp"
#include <fmt/core.h>

namespace weft {

int report(const Prepared& prepared, const std::string& folder) {
  fmt::print("{}\n", prepared.note);
  if (!prepared.written)
    fmt::print("{} holds the very same data already; nothing was written\n", folder);
  else
    fmt::print("wrote {}, source SHA-256 {}\n", folder, prepared.splits.front().source_sha256);
  const char* const names[] = {"train", "valid", "test"};
  for (std::size_t i = 0; i < prepared.splits.size(); ++i) {
    const SplitInfo& split = prepared.splits[i];
    fmt::print("  {:<5} {:>13} {} in {} shard{}  SHA-256 {}\n", names[i], split.size,
               split.size == 1 ? prepared.unit.substr(0, prepared.unit.size() - 1) : prepared.unit, split.shards,
               split.shards == 1 ? "" : "s", split.split_sha256);
  }
  return exit_done;
}

} // namespace weft
