// Pictures as PNG files.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace weft {

/// A picture in memory: height x width x 3 bytes, rows from the top, pixels from the left, red, green, blue.
struct Image {
  std::int64_t width = 0, height = 0;
  std::vector<std::uint8_t> rgb;
};

/// Reads a PNG file of up to 8 bits per channel. Grey becomes three equal channels, a palette its colours, fewer than 8
/// bits are stretched to 0..255; transparency is dropped, the colours below it are taken as they are stored; no gamma
/// or colour profile is applied. DataError, naming the file, where it is missing, no PNG, damaged (every checksum is
/// compared), cut short, of 16 bits per channel, or has a side above 16384.
Image read_png(const std::string& path);
/// The same from a file's bytes; `name` is told in errors.
Image decode_png(const std::string& bytes, const std::string& name);

/// Writes `height` rows of `width` pixels, top row first, 8 bits per channel; `channels` is 1 (grey) or 3 (RGB).
/// Atomic: a failure leaves no file, or the older one.
void write_png(const std::string& path, std::int64_t width, std::int64_t height, int channels,
               const std::uint8_t* pixels);

} // namespace weft
