// Downloads as they come: a plain file, a compressed one (gzip, bzip2, xz, zstd), a zip or a tar archive, compressed or
// not. Members are only ever read as bytes; names inside an archive decide nothing on this machine's disk.
#pragma once
#include "io/uncopied.hpp"
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace weft {

/// Reads a download member by member. A file that is no archive is one member under its own name.
/// Throws DataError where the file is missing, empty, truncated or fails its checksums (gzip: CRC-32 and length of
/// every part; zip: CRC-32; xz, bzip2, zstd: their own; a tar archive has only its compression's).
class RawFile : Uncopied {
 public:
  explicit RawFile(const std::string& path);
  ~RawFile();

  /// Goes to the next regular file; false at the end. Members without a name or that are links or folders are passed.
  /// The end is only reached when all of the compressed file has been read and found whole.
  bool next();
  const std::string& name() const { return name_; } ///< of the current member
  /// Up to `bytes` of the current member; 0 at its end.
  std::size_t read(std::uint8_t* to, std::size_t bytes);
  const std::string& path() const { return path_; }

 private:
  struct State;
  std::string path_, name_;
  std::unique_ptr<State> state_;
};

} // namespace weft
