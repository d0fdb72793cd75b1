// From raw files to the three splits of a stream: the bytes pass through a file on disk, never as a whole through
// memory.
#pragma once
#include "io/digest.hpp"
#include "io/shards.hpp"
#include "io/uncopied.hpp"
#include <csignal>
#include <cstdint>
#include <string>
#include <vector>

namespace weft {

/// What a preparation did, for the person who asked.
struct Prepared {
  std::vector<SplitInfo> splits; ///< train, valid, test
  std::string note;              ///< "verified: ...", or what is known about the raw bytes
  bool written = true;           ///< false: the target held the very same data already
  std::string unit = "bytes";    ///< what the sizes of the splits count
};

class AtomicFolder;

/// Collects unpacked bytes in a file within the folder under construction, counting and hashing them.
class StagedBytes : Uncopied {
 public:
  explicit StagedBytes(const std::string& folder);
  ~StagedBytes();

  /// Removes the file; nothing can be read any more.
  void drop();
  void append(const std::uint8_t* data, std::size_t bytes);
  std::int64_t size() const { return size_; }
  /// Digests of all bytes; no append may follow.
  const std::string& sha256();
  const std::string& md5();
  void read(std::int64_t first, std::int64_t count, std::uint8_t* to) const;

 private:
  std::string path_, sha256_, md5_;
  int descriptor_ = -1;
  std::int64_t size_ = 0;
  Digest sha256_of_, md5_of_;
};

/// Appends all members of the download at `path` and returns how many there were. DataError above `most` bytes in all.
/// packed: gets the names of members that are compressed themselves, and are appended as they are.
int stage(StagedBytes& bytes, const std::string& path, std::int64_t most = INT64_MAX,
          std::vector<std::string>* packed = nullptr);

/// Writes train (the first floor(0.9 n) bytes), valid (the next floor(0.05 n)) and test (the rest) into the folder and
/// publishes it as `target`. DataError below 20 bytes. Fills `splits` and `written`.
Prepared write_byte_splits(AtomicFolder& folder, const std::string& target, StagedBytes& bytes, int shards,
                           const std::string& task);

/// While one lives, SIGINT and SIGTERM make `stage` and `write_byte_splits` throw (status 1), so that what was half
/// written is removed on the way out.
class StopGuard : Uncopied {
 public:
  StopGuard();
  ~StopGuard();
  /// Throws where a signal has come.
  static void check();

 private:
  struct sigaction old_interrupt_, old_terminate_;
};

} // namespace weft
