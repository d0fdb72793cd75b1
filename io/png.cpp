#include "io/png.hpp"
#include "io/atomic_file.hpp"
#include "io/error.hpp"
#include <exception>
#include <fmt/core.h>
#include <png.h>

namespace weft {
namespace {

/// libpng calls back with bytes and leaves errors by longjmp, which must not cross C++ frames that own something: a
/// failure to write is kept here and thrown again once libpng has returned.
struct Sink {
  AtomicFile* file;
  std::exception_ptr failure;
};

void on_write(png_structp writer, png_bytep data, png_size_t bytes) {
  auto* sink = static_cast<Sink*>(png_get_io_ptr(writer));
  if (sink->failure)
    return;
  try {
    sink->file->write(data, bytes);
  } catch (...) {
    sink->failure = std::current_exception();
  }
}

void on_flush(png_structp) {}
void ignore_warning(png_structp, png_const_charp) {}

bool encode(png_structp writer, png_infop info, Sink* sink, png_uint_32 width, png_uint_32 height, int channels,
            const png_byte* pixels) {
  if (setjmp(png_jmpbuf(writer)) != 0)
    return false;
  png_set_write_fn(writer, sink, on_write, on_flush);
  png_set_IHDR(writer, info, width, height, 8, channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB,
               PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info(writer, info);
  for (png_uint_32 row = 0; row < height; ++row)
    png_write_row(writer, pixels + static_cast<std::size_t>(row) * width * static_cast<std::size_t>(channels));
  png_write_end(writer, info);
  return true;
}

} // namespace

void write_png(const std::string& path, std::int64_t width, std::int64_t height, int channels,
               const std::uint8_t* pixels) {
  constexpr std::int64_t most = 1'000'000; // libpng's own limit for a side
  if (width < 1 || height < 1 || width > most || height > most || (channels != 1 && channels != 3))
    throw Error(exit_failure, fmt::format("cannot write {}: {} x {} pixels of {} channels; expected sides from 1 to {} "
                                          "and 1 or 3 channels",
                                          path, width, height, channels, most));
  AtomicFile file(path);
  Sink sink{&file, nullptr};
  png_structp writer = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, ignore_warning);
  png_infop info = writer == nullptr ? nullptr : png_create_info_struct(writer);
  const bool encoded = info != nullptr && encode(writer, info, &sink, static_cast<png_uint_32>(width),
                                                 static_cast<png_uint_32>(height), channels, pixels);
  png_destroy_write_struct(&writer, &info);
  if (sink.failure)
    std::rethrow_exception(sink.failure);
  if (!encoded)
    throw Error(exit_failure, fmt::format("cannot write {}: libpng failed", path));
  file.commit();
}

} // namespace weft
