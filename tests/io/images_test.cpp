// PNG files in, data sets out.
#include "io/digest.hpp"
#include "io/png.hpp"
#include "io/raw/images.hpp"
#include "io/shards.hpp"
#include "scratch.hpp"
#include <algorithm>
#include <png.h>

using namespace weft;
using namespace weft::test;

namespace {

struct Kind {
  int colour, depth;
  bool interlaced = false, transparent = false;
};

/// A PNG of any kind with libpng itself; `rows` are its bytes as stored.
void put_png(const std::string& path, png_uint_32 width, png_uint_32 height, const Kind& kind,
             const std::string& pixels) {
  std::FILE* file = std::fopen(path.c_str(), "wb");
  png_structp writer = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(writer);
  png_init_io(writer, file);
  png_set_IHDR(writer, info, width, height, kind.depth, kind.colour,
               kind.interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
               PNG_FILTER_TYPE_DEFAULT);
  png_set_gAMA(writer, info, 0.2); // must change nothing
  png_color palette[4] = {{10, 20, 30}, {40, 50, 60}, {70, 80, 90}, {200, 210, 220}};
  png_byte alpha[4] = {0, 128, 255, 7};
  if (kind.colour == PNG_COLOR_TYPE_PALETTE) {
    png_set_PLTE(writer, info, palette, 4);
    if (kind.transparent)
      png_set_tRNS(writer, info, alpha, 4, nullptr);
  }
  png_write_info(writer, info);
  const std::size_t stride = pixels.size() / height;
  std::vector<png_bytep> rows;
  std::string copy = pixels;
  for (png_uint_32 y = 0; y < height; ++y)
    rows.push_back(reinterpret_cast<png_bytep>(copy.data()) + y * stride);
  png_write_image(writer, rows.data());
  png_write_end(writer, info);
  png_destroy_write_struct(&writer, &info);
  std::fclose(file);
}

using Bytes = std::vector<std::uint8_t>;

/// n pictures of 4 x 2 pixels, all different.
std::string pixels_of(int number, std::size_t size = 4 * 2 * 3) {
  return noise(size, static_cast<std::uint64_t>(number + 1));
}
void put_pictures(const std::string& folder, int count) {
  fs::create_directories(folder);
  for (int i = 0; i < count; ++i)
    put_png(folder + "/p" + std::to_string(i) + (i % 2 == 0 ? ".png" : ".PNG"), 4, 2, {PNG_COLOR_TYPE_RGB, 8},
            pixels_of(i));
}

std::vector<std::string> split(const std::string& folder, const std::string& name) {
  const Examples examples(folder, name);
  std::vector<std::string> all;
  std::vector<std::uint16_t> tokens(static_cast<std::size_t>(examples.length()));
  for (std::int64_t i = 0; i < examples.size(); ++i) {
    std::int32_t length = 0, label = 0;
    examples.read(i, tokens.data(), &length, &label);
    EXPECT_EQ(length, examples.length());
    EXPECT_EQ(label, -1);
    std::string text;
    for (const std::uint16_t token : tokens)
      text += static_cast<char>(token);
    all.push_back(text);
  }
  return all;
}

} // namespace

TEST(ReadPng, EveryKindBecomesRgb) {
  const Scratch scratch;
  const std::string path = scratch / "p.png";
  const auto read = [&](const Kind& kind, png_uint_32 width, const std::string& pixels) {
    put_png(path, width, 1, kind, pixels);
    const Image image = read_png(path);
    EXPECT_EQ(image.width, width);
    EXPECT_EQ(image.height, 1);
    return image.rgb;
  };
  EXPECT_EQ(read({PNG_COLOR_TYPE_RGB, 8}, 2, {"\x01\x02\x03\xff\xfe\xfd"}), (Bytes{1, 2, 3, 255, 254, 253}));
  EXPECT_EQ(read({PNG_COLOR_TYPE_RGB_ALPHA, 8}, 2, std::string("\x01\x02\x03\x00\x09\x08\x07\x80", 8)),
            (Bytes{1, 2, 3, 9, 8, 7})); // also where nothing is opaque
  EXPECT_EQ(read({PNG_COLOR_TYPE_GRAY, 8}, 2, "\x05\xf0"), (Bytes{5, 5, 5, 240, 240, 240}));
  EXPECT_EQ(read({PNG_COLOR_TYPE_GRAY_ALPHA, 8}, 1, std::string("\x05\x00", 2)), (Bytes{5, 5, 5}));
  EXPECT_EQ(read({PNG_COLOR_TYPE_GRAY, 1}, 3, "\xa0"), (Bytes{255, 255, 255, 0, 0, 0, 255, 255, 255}));
  EXPECT_EQ(read({PNG_COLOR_TYPE_PALETTE, 8}, 2, std::string("\x03\x00", 2)), (Bytes{200, 210, 220, 10, 20, 30}));
  EXPECT_EQ(read({PNG_COLOR_TYPE_PALETTE, 2, false, true}, 2, "\x40"), (Bytes{40, 50, 60, 10, 20, 30}));
  put_png(path, 9, 7, {PNG_COLOR_TYPE_RGB, 8, true}, pixels_of(1, 9 * 7 * 3));
  const Image interlaced = read_png(path);
  EXPECT_EQ(std::string(interlaced.rgb.begin(), interlaced.rgb.end()), pixels_of(1, 9 * 7 * 3));
}

TEST(ReadPng, WhatIsWrittenComesBack) {
  const Scratch scratch;
  for (const auto& [width, height] : {std::pair<std::int64_t, std::int64_t>{1, 1}, {37, 11}, {3, 500}}) {
    const std::string text = noise(static_cast<std::size_t>(width * height * 3));
    write_png(scratch / "p.png", width, height, 3, reinterpret_cast<const std::uint8_t*>(text.data()));
    const Image image = read_png(scratch / "p.png");
    EXPECT_EQ(image.width, width);
    EXPECT_EQ(image.height, height);
    EXPECT_EQ(std::string(image.rgb.begin(), image.rgb.end()), text);
  }
}

TEST(ReadPng, DamagedFilesAreNamed) {
  const Scratch scratch;
  const std::string path = scratch / "p.png";
  put_png(path, 8, 6, {PNG_COLOR_TYPE_RGB, 8}, pixels_of(3, 8 * 6 * 3));
  const std::string whole = get(path);
  for (std::size_t at = 0; at < whole.size(); ++at) {
    flip(path, at);
    EXPECT_FAILS(exit_data, path, read_png(path));
    put(path, whole);
  }
  for (std::size_t kept = 0; kept < whole.size(); kept += 7) {
    put(path, whole.substr(0, kept));
    EXPECT_FAILS(exit_data, path, read_png(path));
  }
  EXPECT_FAILS(exit_data, "cannot read", read_png(scratch / "none.png"));
  put_png(path, 1, 1, {PNG_COLOR_TYPE_GRAY, 16}, "ab");
  EXPECT_FAILS(exit_data, "16 bits per channel", read_png(path));
  put_png(path, 16385, 1, {PNG_COLOR_TYPE_GRAY, 8}, noise(16385));
  EXPECT_FAILS(exit_data, "limit", read_png(path));
}

TEST(PrepareImages, SplitsAsDescribed) {
  const Scratch scratch;
  const int n = 45;
  put_pictures(scratch / "raw", n);
  put(scratch / "raw/notes.txt", "x");
  const Prepared prepared = prepare_images(scratch / "raw", "", scratch / "set", 2);
  EXPECT_EQ(prepared.note, "45 images of 4 x 2 pixels; left out, being no PNG files: 1");
  std::vector<std::pair<std::string, int>> keys;
  for (int i = 0; i < n; ++i) {
    const std::string text = "weft images p" + std::to_string(i) + (i % 2 == 0 ? ".png" : ".PNG");
    keys.emplace_back(sha256(text.data(), text.size()), i);
  }
  std::sort(keys.begin(), keys.end());
  const auto expected = [&](std::size_t first, std::size_t last) {
    std::vector<std::pair<std::string, std::string>> named;
    for (std::size_t i = first; i < last; ++i)
      named.emplace_back("p" + std::to_string(keys[i].second) + (keys[i].second % 2 == 0 ? ".png" : ".PNG"),
                         pixels_of(keys[i].second));
    std::sort(named.begin(), named.end());
    std::vector<std::string> all;
    for (const auto& [name, text] : named)
      all.push_back(text);
    return all;
  };
  EXPECT_EQ(split(scratch / "set", "train"), expected(0, 41));
  EXPECT_EQ(split(scratch / "set", "valid"), expected(41, 43));
  EXPECT_EQ(split(scratch / "set", "test"), expected(43, 45));
  EXPECT_FALSE(prepare_images(scratch / "raw", "", scratch / "set", 2).written);
  EXPECT_EQ(scratch.entries(), 2u);
}

TEST(PrepareImages, TestFolderIsTheTestSplit) {
  const Scratch scratch;
  put_pictures(scratch / "raw", 51);
  put_pictures(scratch / "held", 3);
  const Prepared prepared = prepare_images(scratch / "raw", scratch / "held", scratch / "set", 1);
  EXPECT_EQ(prepared.splits[0].size, 49);
  EXPECT_EQ(prepared.splits[1].size, 2);
  EXPECT_EQ(split(scratch / "set", "test"), (std::vector<std::string>{pixels_of(0), pixels_of(1), pixels_of(2)}));
}

TEST(PrepareImages, FailuresNameTheFileAndLeaveNothing) {
  const Scratch scratch;
  put_pictures(scratch / "raw", 30);
  put_pictures(scratch / "few", 19);
  fs::create_directories(scratch / "bare");
  const auto refused = [&](const char* folder, const char* part) {
    EXPECT_FAILS(exit_data, part, prepare_images(scratch / folder, "", scratch / "set", 1));
  };
  put_png(scratch / "raw/p7.PNG", 2, 4, {PNG_COLOR_TYPE_RGB, 8}, pixels_of(7));
  refused("raw", "p7.PNG has 2 x 4 pixels, expected 4 x 2");
  put_pictures(scratch / "raw", 30);
  flip(scratch / "raw/p8.png", 50);
  refused("raw", "p8.png cannot be used");
  refused("few", "holds 19 PNG files");
  refused("bare", "holds 0 PNG files");
  refused("none", "there is no folder");
  refused("few/p1.PNG", "is no folder");
  EXPECT_FAILS(exit_input, "expected another one",
               prepare_images(scratch / "raw", scratch / "raw", scratch / "set", 1));
  EXPECT_FAILS(exit_data, "holds no PNG file", prepare_images(scratch / "raw", scratch / "bare", scratch / "set", 1));
  EXPECT_EQ(scratch.entries(), 3u);
}
