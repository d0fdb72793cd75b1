// One process at a time writes into a folder.
#pragma once
#include "io/uncopied.hpp"
#include <optional>
#include <string>

namespace weft {

/// Holds the lock of a folder, made if it is missing, for as long as it lives. The lock is the kernel's, on the file
/// `<folder>/lock` (which stays, with a line for people): it ends with the process, however that ends. Throws Error
/// (status 1) where another process holds it, with that process's host, number and time, and where the file cannot be
/// made. A folder that is renamed takes its lock along.
class FolderLock : Uncopied {
 public:
  explicit FolderLock(const std::string& folder);
  ~FolderLock();

  /// False on a file system that knows no locks: then nothing keeps a second process out.
  bool held() const { return held_; }
  static constexpr const char* file_name = "lock";

  /// Who holds the lock of `folder`, as its error would name it; nothing where nobody does, or nobody can tell. Only
  /// asks: a process that wants the lock meanwhile gets it.
  static std::optional<std::string> holder(const std::string& folder);

 private:
  int descriptor_ = -1;
  bool held_ = false;
};

} // namespace weft
