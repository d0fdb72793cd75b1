// Pictures of one size on their way to a data set of examples: each is a label and its bytes by row, column, channel.
#pragma once
#include "io/raw/byte_stream.hpp"
#include <cstdint>
#include <string>
#include <vector>

namespace weft {

/// Numbers of the pictures of each split; of pictures as they were appended.
struct ImageOrder {
  std::vector<std::int64_t> train, valid, test;
};

/// Pictures of `bytes` bytes each, collected in a file within the folder under construction.
class StagedImages {
 public:
  StagedImages(const std::string& folder, std::int64_t bytes) : bytes_(bytes), staged_(folder) {}

  /// Appends one picture; `label` is in -1 (none) to 254.
  void append(int label, const std::uint8_t* pixels);
  std::int64_t bytes() const { return bytes_; } ///< of one picture
  std::int64_t size() const { return staged_.size() / (bytes_ + 1); }
  /// `pixels` of picture `index`; returns the label.
  int read(std::int64_t index, std::uint8_t* pixels) const;
  /// SHA-256 of the pictures in this order: of each one byte with the label (255: none), then its bytes.
  std::string sha256(const std::vector<std::int64_t>& order) const;
  void drop() { staged_.drop(); }

 private:
  std::int64_t bytes_;
  StagedBytes staged_;
  mutable std::vector<std::uint8_t> record_;
};

/// Bytes by channel, row, column (planes of width * height) to bytes by row, column, channel.
void planes_to_pixels(const std::uint8_t* planes, std::int64_t plane, int channels, std::uint8_t* pixels);

/// The names sorted by the SHA-256 of `salt` + name: a fixed order that follows no order of the names and can be made
/// again with any SHA-256. Returns positions in `names`.
std::vector<std::int64_t> scattered(const std::string& salt, const std::vector<std::string>& names);

/// Writes the splits as examples (vocabulary 256) into the folder and publishes it as `target`. Fills `splits`,
/// `written` and `unit`.
Prepared write_image_splits(AtomicFolder& folder, const std::string& target, StagedImages& images,
                            const ImageOrder& order, int shards, const std::string& task,
                            const std::string& source_sha256);

} // namespace weft
