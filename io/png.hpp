// Pictures as PNG files.
#pragma once
#include <cstdint>
#include <string>

namespace weft {

/// Writes `height` rows of `width` pixels, top row first, 8 bits per channel; `channels` is 1 (grey) or 3 (RGB).
/// Atomic: a failure leaves no file, or the older one.
void write_png(const std::string& path, std::int64_t width, std::int64_t height, int channels,
               const std::uint8_t* pixels);

} // namespace weft
