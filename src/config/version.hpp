// What this program was built from.
#pragma once
#include <string>
#include <utility>
#include <vector>

namespace weft {

struct Version {
  std::string version; ///< of the project
  std::string commit;  ///< 40 hex digits, or "unknown" outside a git checkout
  bool dirty = false;  ///< sources differ from that commit
  std::string build_type, compiler, flags, options;
  std::vector<std::pair<std::string, std::string>> libraries; ///< name, version
  std::string commit_text() const { return commit + (dirty ? "-dirty" : ""); }
};

const Version& version();

/// Several lines for `weft --version`.
std::string version_text();

} // namespace weft
