// Promise: a damaged PNG file is refused with status 4, or read as a picture whose sides and bytes agree. Half of the
// cases get their checksums put right again, so that the damage reaches what lies behind them.
#include "io/png.hpp"
#include "mutator.hpp"
#include <cstring>
#include <zlib.h>

using namespace weft;
using namespace weft::test;

namespace {

void put_number(std::string& text, std::size_t at, std::uint32_t value) {
  for (int i = 0; i < 4; ++i)
    text[at + static_cast<std::size_t>(i)] = static_cast<char>(value >> (24 - 8 * i));
}

/// The CRC of every chunk that is still there as a chunk.
void mend_checksums(std::string& text) {
  for (std::size_t at = 8; at + 12 <= text.size();) {
    std::uint32_t length = 0;
    for (std::size_t i = 0; i < 4; ++i)
      length = length << 8 | static_cast<std::uint8_t>(text[at + i]);
    if (length > text.size() - at - 12)
      return;
    const auto* body = reinterpret_cast<const Bytef*>(text.data() + at + 4);
    put_number(text, at + 8 + length, static_cast<std::uint32_t>(crc32(0, body, length + 4)));
    at += 12 + length;
  }
}

std::vector<std::string> corpus(const Scratch& scratch) {
  std::vector<std::string> files;
  for (const int channels : {1, 3}) {
    const std::string pixels = noise(static_cast<std::size_t>(24 * 20 * channels));
    write_png(scratch / "made.png", 24, 20, channels, reinterpret_cast<const std::uint8_t*>(pixels.data()));
    files.push_back(get(scratch / "made.png"));
  }
  return files;
}

} // namespace

TEST(FuzzPng, damaged_files) {
  const Scratch scratch;
  Mutator mutator(corpus(scratch), 10);
  bool mend = false;
  const FuzzCount count = fuzz(
      mutator, rounds(4000), scratch / "made.png", {exit_data},
      [](const std::string& path) {
        const Image image = read_png(path);
        EXPECT_GT(image.width, 0);
        EXPECT_EQ(static_cast<std::int64_t>(image.rgb.size()), 3 * image.width * image.height);
      },
      [&mend](std::string& text) {
        mend = !mend;
        if (mend)
          mend_checksums(text);
      });
  EXPECT_GT(count.refused, 0);
}

// A file of 100 bytes that claims 16384 x 16384 pixels must not cost their 800 MB.
TEST(FuzzPng, claimed_pixels_cost_no_memory) {
  const Scratch scratch;
  for (std::string text : corpus(scratch)) {
    put_number(text, 16, 16384);
    put_number(text, 20, 16384);
    mend_checksums(text);
    put(scratch / "made.png", text);
    const std::int64_t before = peak_memory();
    EXPECT_FAILS(exit_data, "cut short", read_png(scratch / "made.png"));
    EXPECT_LT(peak_memory() - before, std::int64_t{64} << 20);
  }
}
