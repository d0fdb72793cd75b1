// Files and folders that are either complete or not there: built under a temporary name beside the target, synced to
// the disk, then renamed. A reader, a crash or a full disk never meets half of one.
#pragma once
#include "io/uncopied.hpp"
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace weft {

/// One file, built as `<path>.partial-<pid>`. Of a symbolic link the file that it names is replaced; a device or a pipe
/// (/dev/null, /dev/stdout) is written as it is. Missing parent folders are created. Unless commit() was reached, the
/// destructor removes what was written and a file already at `path` stays as it was.
/// Every failure (disk full, permission, quota) is an Error with status 1 that names the file and the reason.
class AtomicFile : Uncopied {
 public:
  explicit AtomicFile(std::string path);
  ~AtomicFile();

  /// The temporary name, for libraries that open files by themselves; they must have closed it before commit().
  const std::string& temporary() const { return temporary_; }
  /// Appends to the temporary file.
  void write(const void* data, std::size_t bytes);
  void write(std::string_view text) { write(text.data(), text.size()); }
  /// fsync of the file, for those who want to look at what lies on the disk before they commit.
  void sync();
  /// fsync of the file, rename to `path`, fsync of the folder.
  void commit();

 private:
  std::string path_, temporary_;
  int descriptor_ = -1;
  bool done_ = false;
};

/// One folder, built as `<path>.partial-<pid>` and removed with all it holds unless commit() was reached. commit()
/// fails (InputError) where `path` exists and is not an empty folder.
class AtomicFolder : Uncopied {
 public:
  explicit AtomicFolder(std::string path);
  ~AtomicFolder();

  const std::string& temporary() const { return temporary_; }
  void commit();

 private:
  std::string path_, temporary_;
  bool done_ = false;
};

/// Replaces (or creates) `path` by a file that holds exactly `contents`.
void replace_file(const std::string& path, std::string_view contents);
/// The whole of a small text file; DataError where it cannot be read.
std::string read_file(const std::string& path);
/// Its first bytes, at most so many; the rest is not read, so that a device without an end is no trap.
std::string read_head(const std::string& path, std::int64_t most);
/// For tests: from now on AtomicFile::commit() fails with this errno where it syncs, as a full network disk does.
void let_syncs_fail(int number);
/// fsync of a folder, so that a rename or removal in it survives a crash. Quiet where a file system knows no such
/// thing.
void sync_folder(const std::string& folder);

} // namespace weft
