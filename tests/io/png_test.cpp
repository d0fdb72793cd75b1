#include "io/png.hpp"
#include "scratch.hpp"
#include <cstring>
#include <png.h>
#include <vector>

using namespace weft;
using namespace weft::test;

TEST(Png, PixelsComeBack) {
  const Scratch scratch;
  for (const int channels : {1, 3}) {
    const std::string text = noise(static_cast<std::size_t>(37 * 11 * channels)), path = scratch / "p.png";
    write_png(path, 37, 11, channels, reinterpret_cast<const std::uint8_t*>(text.data()));
    png_image image;
    std::memset(&image, 0, sizeof image);
    image.version = PNG_IMAGE_VERSION;
    ASSERT_NE(png_image_begin_read_from_file(&image, path.c_str()), 0);
    image.format = channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
    ASSERT_EQ(image.width, 37u);
    ASSERT_EQ(image.height, 11u);
    std::string back(text.size(), '\0');
    ASSERT_NE(png_image_finish_read(&image, nullptr, back.data(), 0, nullptr), 0);
    EXPECT_EQ(back, text);
  }
  EXPECT_EQ(scratch.entries(), 1u);
}

TEST(Png, ImpossiblePicturesAreRefusedAndLeaveNothing) {
  const Scratch scratch;
  const std::uint8_t pixel[3] = {1, 2, 3};
  EXPECT_FAILS(exit_failure, "0 x 1", write_png(scratch / "p.png", 0, 1, 1, pixel));
  EXPECT_FAILS(exit_failure, "2 channels", write_png(scratch / "p.png", 1, 1, 2, pixel));
  EXPECT_EQ(scratch.entries(), 0u);
}
