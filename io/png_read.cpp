#include "io/atomic_file.hpp"
#include "io/error.hpp"
#include "io/png.hpp"
#include <algorithm>
#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <fmt/core.h>
#include <png.h>

namespace weft {
namespace {

constexpr png_uint_32 longest_side = 16384; // 800 MB of pixels at most, whatever a damaged header says

/// The file in memory. libpng leaves errors by longjmp, which must not cross C++ frames that own something: the
/// functions between setjmp and libpng own nothing, and what went wrong is kept here.
struct Source {
  const png_byte* at;
  std::size_t left;
  char why[160], warning[160]; ///< the error; the last warning, which may say more
};

void on_read(png_structp reader, png_bytep to, png_size_t bytes) {
  auto* source = static_cast<Source*>(png_get_io_ptr(reader));
  if (bytes > source->left)
    png_error(reader, "it is cut short");
  std::memcpy(to, source->at, bytes);
  source->at += bytes;
  source->left -= bytes;
}

void on_error(png_structp reader, png_const_charp why) {
  auto* source = static_cast<Source*>(png_get_error_ptr(reader));
  std::snprintf(source->why, sizeof source->why, "%s", why);
  png_longjmp(reader, 1);
}
void on_warning(png_structp reader, png_const_charp text) {
  auto* source = static_cast<Source*>(png_get_error_ptr(reader));
  std::snprintf(source->warning, sizeof source->warning, "%s", text);
}

/// Reads up to the pixels and asks for RGB of 8 bits.
bool begin(png_structp reader, png_infop info, Source* source) {
  if (setjmp(png_jmpbuf(reader)) != 0)
    return false;
  png_set_read_fn(reader, source, on_read);
  png_set_crc_action(reader, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
  png_set_user_limits(reader, longest_side, longest_side);
  png_read_info(reader, info);
  if (png_get_bit_depth(reader, info) > 8)
    png_error(reader, "it has 16 bits per channel, expected 8");
  // Deflate packs at most 1032 bytes into one: pixels that cannot be in the file are not given memory.
  if (png_get_rowbytes(reader, info) * png_get_image_height(reader, info) / 1032 > source->left)
    png_error(reader, "it is cut short");
  png_set_expand(reader); // palettes, fewer than 8 bits, transparent colours
  png_set_gray_to_rgb(reader);
  png_set_strip_alpha(reader);
  png_set_interlace_handling(reader);
  png_read_update_info(reader, info);
  if (png_get_rowbytes(reader, info) != static_cast<png_size_t>(3) * png_get_image_width(reader, info))
    png_error(reader, "its pixels cannot be turned into RGB");
  return true;
}

bool finish(png_structp reader, png_infop info, png_bytepp rows) {
  if (setjmp(png_jmpbuf(reader)) != 0)
    return false;
  png_read_image(reader, rows);
  png_read_end(reader, info);
  return true;
}

} // namespace

Image read_png(const std::string& path) { return decode_png(read_file(path), path); }

Image decode_png(const std::string& bytes, const std::string& path) {
  Source source{reinterpret_cast<const png_byte*>(bytes.data()), bytes.size(), "out of memory", ""};
  const auto refuse = [&](const char* why) {
    return DataError(fmt::format("the PNG file {} cannot be used: {}{}{}; replace or remove it", path, why,
                                 source.warning[0] == '\0' ? "" : "; ", source.warning));
  };
  if (bytes.empty())
    throw refuse("it is empty");
  if (png_sig_cmp(source.at, 0, std::min<std::size_t>(8, bytes.size())) != 0 || bytes.size() < 8)
    throw refuse("it does not begin like a PNG file");
  png_structp reader = png_create_read_struct(PNG_LIBPNG_VER_STRING, &source, on_error, on_warning);
  png_infop info = reader == nullptr ? nullptr : png_create_info_struct(reader);
  const struct Release {
    png_structp* reader;
    png_infop* info;
    ~Release() { png_destroy_read_struct(reader, info, nullptr); }
  } release{&reader, &info};
  if (info == nullptr || !begin(reader, info, &source))
    throw refuse(source.why);
  Image image;
  image.width = png_get_image_width(reader, info);
  image.height = png_get_image_height(reader, info);
  const auto row_bytes = static_cast<std::size_t>(3 * image.width);
  image.rgb.resize(row_bytes * static_cast<std::size_t>(image.height));
  std::vector<png_bytep> rows(static_cast<std::size_t>(image.height));
  for (std::size_t y = 0; y < rows.size(); ++y)
    rows[y] = image.rgb.data() + y * row_bytes;
  if (!finish(reader, info, rows.data()))
    throw refuse(source.why);
  return image;
}

} // namespace weft
