#include "io/raw/gzip.hpp"
#include "io/error.hpp"
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fmt/core.h>
#include <limits>
#include <zlib.h>

namespace weft {

struct GzipSource::State {
  std::string path;
  std::FILE* file = nullptr;
  z_stream stream{};
  bool ended = false, whole_part = false, within = true; // within: a part has begun and its trailer has not been met
  std::array<std::uint8_t, 65536> block;

  ~State() {
    inflateEnd(&stream);
    if (file != nullptr)
      std::fclose(file);
  }
  /// False at the end of the file.
  bool refill() {
    if (stream.avail_in > 0)
      return true;
    stream.next_in = block.data();
    stream.avail_in = static_cast<uInt>(std::fread(block.data(), 1, block.size(), file));
    if (std::ferror(file) != 0)
      throw DataError(fmt::format("cannot read {} to its end: {}", path, std::strerror(errno)));
    return stream.avail_in > 0;
  }
  [[noreturn]] void fail(const std::string& why) const {
    throw DataError(fmt::format("the gzip file {} is damaged: {}; download it again", path, why));
  }
};

GzipSource::GzipSource(const std::string& path) : state_(std::make_unique<State>()) {
  state_->path = path;
  state_->file = std::fopen(path.c_str(), "rb");
  if (state_->file == nullptr)
    throw DataError(fmt::format("cannot read {}: {}", path, std::strerror(errno)));
  if (inflateInit2(&state_->stream, 16 + MAX_WBITS) != Z_OK)
    throw Error(exit_failure, "zlib cannot start: out of memory?");
}

GzipSource::~GzipSource() = default;

std::size_t GzipSource::read(std::uint8_t* to, std::size_t bytes) {
  State& state = *state_;
  bytes = std::min<std::size_t>(bytes, std::numeric_limits<uInt>::max() / 2);
  z_stream& stream = state.stream;
  stream.next_out = to;
  stream.avail_out = static_cast<uInt>(bytes);
  while (stream.avail_out == bytes && bytes > 0 && !state.ended) {
    if (!state.refill()) {
      if (state.within)
        state.fail("it is cut short");
      state.ended = true;
      break;
    }
    if (!state.within) {
      if (*stream.next_in == 0) { // tapes and some tools pad with zeros
        ++stream.next_in;
        --stream.avail_in;
        continue;
      }
      if (inflateReset(&stream) != Z_OK)
        state.fail("zlib cannot begin its next part");
      state.within = true;
    }
    const int result = inflate(&stream, Z_NO_FLUSH);
    if (result == Z_STREAM_END) {
      state.within = false;
      state.whole_part = true;
    } else if (result != Z_OK && result != Z_BUF_ERROR && state.whole_part && stream.total_out == 0)
      throw DataError(fmt::format("behind the end of the gzip file {} lie bytes that are no gzip: its download went "
                                  "wrong, or something was added to it; gzip -dc FILE > OUT leaves them out",
                                  state.path));
    else if (result != Z_OK && result != Z_BUF_ERROR)
      state.fail(stream.msg == nullptr ? "no reason given" : stream.msg);
  }
  return bytes - stream.avail_out;
}

} // namespace weft
