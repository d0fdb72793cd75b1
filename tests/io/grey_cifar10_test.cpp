// CIFAR-10 in grey: the arena's formula, blocks, the published split, limits and errors.
#include "io/digest.hpp"
#include "io/raw/grey_cifar10.hpp"
#include "io/raw/random_split.hpp"
#include "io/shards.hpp"
#include "raw_support.hpp"
#include "scratch.hpp"
#include <cmath>

using namespace weft;
using namespace weft::test;

namespace {

constexpr int images = 10; // per batch
KnownCifar10 known() {
  KnownCifar10 k;
  k.batch_images = images;
  return k;
}

/// A record whose label and pixels tell its number.
std::string record(int number) {
  return static_cast<char>(number % 10) + noise(3072, static_cast<std::uint64_t>(number + 1));
}

void put_batches(const std::string& folder, int batches = 5) {
  fs::create_directories(folder);
  for (int batch = 0; batch < batches; ++batch) {
    std::string text;
    for (int i = 0; i < images; ++i)
      text += record(batch * images + i);
    put(folder + "/data_batch_" + std::to_string(batch + 1) + ".bin", text);
  }
  std::string text;
  for (int i = 0; i < images; ++i)
    text += record(50 + i);
  put(folder + "/test_batch.bin", text);
}

struct Row {
  std::vector<std::uint16_t> tokens;
  std::int32_t length = 0, label = 0;
};
Row row_of(const Examples& examples, std::int64_t at) {
  Row row;
  row.tokens.resize(static_cast<std::size_t>(examples.length()));
  examples.read(at, row.tokens.data(), &row.length, &row.label);
  return row;
}

/// Grey value of pixel (x, y) of a record, in double: differs from fp32 only where it is within 1e-4 of a whole number.
double grey_of(const std::string& text, int x, int y) {
  const auto plane = [&](int channel) {
    return static_cast<double>(
        static_cast<unsigned char>(text[static_cast<std::size_t>(1 + channel * 1024 + y * 32 + x)]));
  };
  return (0.2989 * plane(0) + 0.5870 * plane(1) + 0.1140 * plane(2)) / 255 * 255.5;
}

} // namespace

TEST(ArenaGrey, IsTheFormulaWithItsRounding) {
  EXPECT_EQ(arena_grey(0, 0, 0), 0);
  EXPECT_EQ(arena_grey(255, 255, 255), 255);
  EXPECT_EQ(arena_grey(255, 0, 0), 76);  // 0.2989 * 255.5 = 76.37
  EXPECT_EQ(arena_grey(0, 255, 0), 149); // 149.98: cut off, not rounded
  EXPECT_EQ(arena_grey(0, 0, 255), 29);  // 29.13
  EXPECT_EQ(arena_grey(128, 128, 128), 128);
  int apart = 0;
  for (int r = 0; r < 256; r += 3)
    for (int g = 0; g < 256; g += 3)
      for (int b = 0; b < 256; b += 3) {
        const double exact = (0.2989 * r + 0.5870 * g + 0.1140 * b) / 255 * 255.5;
        const int got =
            arena_grey(static_cast<std::uint8_t>(r), static_cast<std::uint8_t>(g), static_cast<std::uint8_t>(b));
        if (got != static_cast<int>(exact)) {
          ++apart;
          EXPECT_LT(std::abs(exact - std::round(exact)), 1e-4) << r << " " << g << " " << b;
        }
      }
  EXPECT_LT(apart, 100); // of 614,125
}

TEST(ArenaGrey, SmallerPicturesAreMeansOfBlocks) {
  std::vector<std::uint8_t> colour(3072), grey(1024);
  for (std::size_t i = 0; i < colour.size(); ++i)
    colour[i] = static_cast<std::uint8_t>(i * 37 % 251);
  grey_picture(colour.data(), 32, grey.data());
  std::vector<std::uint8_t> half(256);
  grey_picture(colour.data(), 16, half.data());
  for (int y = 0; y < 16; ++y)
    for (int x = 0; x < 16; ++x) {
      const auto at = [&](int i, int j) {
        return static_cast<int>(grey[static_cast<std::size_t>((2 * y + j) * 32 + 2 * x + i)]);
      };
      EXPECT_EQ(half[static_cast<std::size_t>(16 * y + x)], (at(0, 0) + at(1, 0) + at(0, 1) + at(1, 1) + 2) / 4);
    }
}

TEST(TorchPermutation, IsThatOfThePublishedSplits) {
  const auto check = [](std::int64_t n, std::vector<std::int64_t> first, const std::string& digest) {
    const std::vector<std::int64_t> all = torch_permutation(n, arena_split_seed);
    EXPECT_EQ(std::vector<std::int64_t>(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(first.size())), first);
    const std::vector<std::int32_t> words(all.begin(), all.end());
    EXPECT_EQ(sha256(words.data(), words.size() * sizeof(std::int32_t)), digest);
  };
  check(50'000, {37542, 44491, 216, 43688, 41558}, "15bd7ad5aed2bf0508af90aae495c077a1208c08747afef2f8e8ab6221f86404");
  check(200'000, {37542, 143173, 127710, 58234, 152906},
        "4f06df2898b69fea2c899afba492463395406f0c2c466f5a34749b1c1c601e79");
  EXPECT_EQ(torch_permutation(1, 42), std::vector<std::int64_t>{0});
}

TEST(PrepareImage, SplitsAndPixelsAreThoseOfTheRule) {
  const Scratch scratch;
  put_batches(scratch / "raw");
  const Prepared prepared = prepare_image(scratch / "raw", scratch / "set", {}, nullptr, known());
  EXPECT_EQ(prepared.splits[0].size, 45);
  EXPECT_EQ(prepared.splits[1].size, 5);
  EXPECT_EQ(prepared.splits[2].size, 10);
  const std::vector<std::int64_t> order = torch_permutation(50, 42);
  for (int split = 0; split < 3; ++split) {
    const Examples examples(scratch / "set",
                            std::vector<const char*>{"train", "valid", "test"}[static_cast<std::size_t>(split)]);
    EXPECT_EQ(examples.info().task, "image");
    EXPECT_EQ(examples.info().classes, 10);
    EXPECT_EQ(examples.length(), 1024);
    for (std::int64_t i = 0; i < examples.size(); ++i) {
      const int number =
          split == 2 ? 50 + static_cast<int>(i) : static_cast<int>(order[static_cast<std::size_t>(split * 45 + i)]);
      const std::string text = record(number);
      const Row row = row_of(examples, i);
      EXPECT_EQ(row.label, number % 10);
      EXPECT_EQ(row.length, 1024);
      int wrong = 0;
      for (int y = 0; y < 32; ++y)
        for (int x = 0; x < 32; ++x) {
          const double exact = grey_of(text, x, y);
          wrong += std::abs(exact - std::round(exact)) > 1e-4 &&
                   row.tokens[static_cast<std::size_t>(32 * y + x)] != static_cast<int>(exact);
        }
      EXPECT_EQ(wrong, 0) << number;
    }
  }
  EXPECT_FALSE(prepare_image(scratch / "raw", scratch / "set", {}, nullptr, known()).written);
}

TEST(PrepareImage, SizesLimitsAndErrors) {
  const Scratch scratch;
  put_batches(scratch / "raw");
  GreyRequest request;
  request.size = 16;
  request.examples = {20, 4, 3};
  const Prepared prepared = prepare_image(scratch / "raw", scratch / "set", request, nullptr, known());
  EXPECT_NE(prepared.note.find("16 x 16"), std::string::npos) << prepared.note;
  EXPECT_EQ(prepared.splits[0].size + prepared.splits[1].size + prepared.splits[2].size, 27);
  EXPECT_EQ(Examples(scratch / "set", "train").length(), 256);
  request.size = 20;
  EXPECT_FAILS(exit_input, "--size 20", prepare_image(scratch / "raw", scratch / "no", request, nullptr, known()));
  request = {};
  request.examples = {46, 5, 10};
  EXPECT_FAILS(exit_input, "46 of train", prepare_image(scratch / "raw", scratch / "no", request, nullptr, known()));
  put_batches(scratch / "part", 2);
  EXPECT_FAILS(exit_data, "--allow-partial", prepare_image(scratch / "part", scratch / "no", {}, nullptr, known()));
  request = {};
  request.allow_partial = true;
  EXPECT_EQ(prepare_image(scratch / "part", scratch / "two", request, nullptr, known()).splits[1].size, 2);
  EXPECT_EQ(scratch.entries(), 4u);
}
