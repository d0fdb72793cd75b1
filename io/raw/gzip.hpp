// gzip files (RFC 1952) with their checksums compared, which libarchive's own filter does not do.
#pragma once
#include "io/uncopied.hpp"
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace weft {

/// Unpacks a gzip file of one or more parts. DataError where a part is cut short, or its CRC-32 or length does not fit,
/// or where anything but zeros follows the last one.
class GzipSource : Uncopied {
 public:
  explicit GzipSource(const std::string& path);
  ~GzipSource();
  /// Up to `bytes`; 0 only at the end of the whole file.
  std::size_t read(std::uint8_t* to, std::size_t bytes);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

} // namespace weft
