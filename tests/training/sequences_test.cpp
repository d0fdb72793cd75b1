#include "training/sequences.hpp"
#include <algorithm>
#include <filesystem>
#include <gtest/gtest.h>
#include <set>
#include <unistd.h>

using namespace weft;

namespace {

/// A stream whose byte i is i mod 251, so that a window tells where it lies.
std::string stream_of(std::int64_t size) {
  const std::string folder = std::filesystem::temp_directory_path() /
                             ("weft-sequences-" + std::to_string(getpid()) + "-" + std::to_string(size));
  std::filesystem::create_directories(folder);
  write_stream_split(folder, "train", size,
                     [](std::int64_t first, std::int64_t count, std::uint8_t* to) {
                       for (std::int64_t i = 0; i < count; ++i)
                         to[i] = static_cast<std::uint8_t>((first + i) % 251);
                     },
                     1, {"test", 256, ""});
  return folder;
}

TEST(Shuffle, IsAPermutationThatChangesWithSeedAndEpoch) {
  for (std::int64_t n : {1, 2, 3, 7, 64, 100, 1000}) {
    std::set<std::int64_t> seen;
    for (std::int64_t i = 0; i < n; ++i) {
      const std::int64_t at = shuffled(i, n, 5, 1);
      EXPECT_TRUE(at >= 0 && at < n);
      seen.insert(at);
    }
    EXPECT_EQ(static_cast<std::int64_t>(seen.size()), n);
  }
  int same_epoch = 0, same_seed = 0, fixed = 0;
  for (std::int64_t i = 0; i < 1000; ++i) {
    same_epoch += shuffled(i, 1000, 5, 1) == shuffled(i, 1000, 5, 2);
    same_seed += shuffled(i, 1000, 5, 1) == shuffled(i, 1000, 6, 1);
    fixed += shuffled(i, 1000, 5, 1) == i;
  }
  EXPECT_LT(same_epoch, 20);
  EXPECT_LT(same_seed, 20);
  EXPECT_LT(fixed, 20);
}

TEST(Evaluation, ScoresEveryTokenOnceWithTheContextAskedFor) {
  const std::int64_t N = 10;
  for (std::int64_t size : {3, 9, 10, 11, 19, 20, 21, 57}) {
    const std::string folder = stream_of(size);
    const Sequences sequences(folder, "train", N);
    for (std::int64_t context : {0, 1, 5, 9}) {
      std::vector<int> scored(static_cast<std::size_t>(size), 0);
      std::vector<std::uint16_t> window(static_cast<std::size_t>(N));
      std::int64_t next = 0;
      for (std::int64_t w = 0; w < sequences.windows(context); ++w) {
        const auto [first, last] = sequences.window(w, window.data(), context);
        if (w > 0) {
          EXPECT_GE(first, context) << size << " " << context << " window " << w;
        }
        for (std::int64_t i = first; i < last; ++i, ++next)
          EXPECT_EQ(window[static_cast<std::size_t>(i)], next % 251) << size << " " << context;
      }
      EXPECT_EQ(next, size) << context;
    }
    std::filesystem::remove_all(folder);
  }
}

TEST(Training, AnEpochsWindowsDoNotOverlapAndTheOffsetChanges) {
  const std::int64_t N = 10, size = 205;
  const std::string folder = stream_of(size);
  const Sequences sequences(folder, "train", N);
  EXPECT_EQ(sequences.per_epoch(), 19);
  std::set<std::int64_t> offsets;
  for (std::int64_t epoch = 0; epoch < 20; ++epoch) {
    std::vector<std::int64_t> starts;
    std::vector<std::uint16_t> window(static_cast<std::size_t>(N));
    for (std::int64_t i = 0; i < sequences.per_epoch(); ++i) {
      sequences.training(7, epoch, i, window.data());
      starts.push_back(window.front());
      for (std::int64_t j = 1; j < N; ++j)
        EXPECT_EQ(window[static_cast<std::size_t>(j)], window.front() + j);
    }
    std::sort(starts.begin(), starts.end());
    for (std::size_t i = 1; i < starts.size(); ++i)
      EXPECT_EQ(starts[i] - starts[i - 1], N);
    EXPECT_LE(starts.back() + N, size);
    offsets.insert(starts.front());
  }
  EXPECT_GT(offsets.size(), 5u);
  std::filesystem::remove_all(folder);
}

TEST(Training, AStreamShorterThanAWindowIsPadded) {
  const std::string folder = stream_of(4);
  const Sequences sequences(folder, "train", 10);
  std::vector<std::uint16_t> window(10, 99);
  sequences.training(7, 0, 0, window.data());
  EXPECT_EQ(window, (std::vector<std::uint16_t>{0, 1, 2, 3, 0, 0, 0, 0, 0, 0}));
  std::filesystem::remove_all(folder);
}

} // namespace
