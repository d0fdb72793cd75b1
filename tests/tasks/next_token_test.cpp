#include "io/error.hpp"
#include "tasks/next_token.hpp"
#include "tasks/shuffle.hpp"
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

/// `rows` examples of `width` tokens; token i of row r is (r + i) mod 251. Row `short_row`, if any, ends a token early.
struct ExamplesFolder {
  ExamplesFolder(std::int64_t rows, std::int64_t width, bool pairs = false, std::int64_t short_row = -1)
      : path(std::filesystem::temp_directory_path() / ("weft-examples-" + std::to_string(getpid()))) {
    std::filesystem::create_directories(path);
    const auto provider = [&](std::int64_t first, std::int64_t count, ExampleRows& to) {
      for (std::int64_t r = 0; r < count; ++r) {
        to.length[static_cast<std::size_t>(r)] = static_cast<std::int32_t>(width - (first + r == short_row ? 1 : 0));
        for (std::int64_t i = 0; i < width; ++i)
          to.tokens[static_cast<std::size_t>(r * width + i)] = static_cast<std::uint16_t>((first + r + i) % 251);
      }
    };
    write_examples_split(path, "train", rows, width, pairs, provider, 2, {"test", 256, ""});
  }
  ~ExamplesFolder() { std::filesystem::remove_all(path); }
  std::string path;
};

void training(const NextToken& task, std::uint64_t seed, std::int64_t epoch, std::int64_t index,
              std::vector<std::uint16_t>& window) {
  Row row;
  row.tokens[0] = window.data();
  task.training(seed, epoch, index, row);
  EXPECT_EQ(row.length[0], static_cast<std::int64_t>(window.size()));
}

/// The slots that are scored: one run of them, all with share 1, all others with 0.
std::pair<std::int64_t, std::int64_t> evaluation(const NextToken& task, std::int64_t index,
                                                 std::vector<std::uint16_t>& window) {
  std::vector<float> shares(window.size(), 1.0f);
  Row row;
  row.tokens[0] = window.data();
  row.shares = shares.data();
  task.evaluation(index, row);
  const auto first = std::find(shares.begin(), shares.end(), 1.0f), last = std::find(first, shares.end(), 0.0f);
  EXPECT_EQ(std::count(shares.begin(), shares.end(), 1.0f), last - first);
  EXPECT_EQ(std::count(shares.begin(), shares.end(), 0.0f), shares.end() - shares.begin() - (last - first));
  return {first - shares.begin(), last - shares.begin()};
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
    for (std::int64_t context : {0, 1, 5, 9}) {
      const NextToken task(folder, "train", N, context);
      std::vector<int> scored(static_cast<std::size_t>(size), 0);
      std::vector<std::uint16_t> window(static_cast<std::size_t>(N));
      std::int64_t next = 0;
      for (std::int64_t w = 0; w < task.rows(); ++w) {
        const auto [first, last] = evaluation(task, w, window);
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
  const NextToken task(folder, "train", N);
  EXPECT_EQ(task.per_epoch(), 19);
  std::set<std::int64_t> offsets;
  for (std::int64_t epoch = 0; epoch < 20; ++epoch) {
    std::vector<std::int64_t> starts;
    std::vector<std::uint16_t> window(static_cast<std::size_t>(N));
    for (std::int64_t i = 0; i < task.per_epoch(); ++i) {
      training(task, 7, epoch, i, window);
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
  const NextToken task(folder, "train", 10);
  std::vector<std::uint16_t> window(10, 99);
  training(task, 7, 0, 0, window);
  EXPECT_EQ(window, (std::vector<std::uint16_t>{0, 1, 2, 3, 0, 0, 0, 0, 0, 0}));
  std::filesystem::remove_all(folder);
}

TEST(Examples, AnEpochMeetsEachOnceInAnOrderOfItsOwn) {
  const ExamplesFolder folder(37, 12);
  const NextToken task(folder.path, "train", 12);
  EXPECT_EQ(task.per_epoch(), 37);
  EXPECT_EQ(task.size(), 37 * 12);
  std::vector<std::uint16_t> row(12);
  std::vector<std::vector<int>> orders;
  for (std::int64_t epoch = 0; epoch < 2; ++epoch) {
    std::vector<int> order;
    for (std::int64_t i = 0; i < 37; ++i) {
      training(task, 7, epoch, i, row);
      order.push_back(row[0]);
      for (int j = 1; j < 12; ++j)
        EXPECT_EQ(row[static_cast<std::size_t>(j)], row[0] + j);
    }
    EXPECT_EQ(std::set<int>(order.begin(), order.end()).size(), 37u);
    orders.push_back(order);
  }
  EXPECT_NE(orders[0], orders[1]);
}

TEST(Examples, EvaluationScoresEachWholeAndInOrder) {
  const ExamplesFolder folder(9, 12);
  const NextToken task(folder.path, "train", 12);
  ASSERT_EQ(task.rows(), 9);
  EXPECT_THROW(NextToken(folder.path, "train", 12, 3).rows(), InputError);
  std::vector<std::uint16_t> row(12);
  for (std::int64_t i = 0; i < 9; ++i) {
    const auto [first, last] = evaluation(task, i, row);
    EXPECT_EQ(first, 0);
    EXPECT_EQ(last, 12);
    EXPECT_EQ(row[0], i);
  }
}

std::string refusal(const std::string& folder, std::int64_t length) {
  try {
    const NextToken task(folder, "train", length);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

TEST(Examples, ThoseThatDoNotFitAreRefused) {
  EXPECT_NE(refusal(ExamplesFolder(9, 12).path, 13).find("set model.context = 12"), std::string::npos);
  EXPECT_NE(refusal(ExamplesFolder(9, 12, true).path, 12).find("holds pairs"), std::string::npos);
  EXPECT_NE(refusal(ExamplesFolder(9, 12, false, 5).path, 12).find("example 5 of the train split"), std::string::npos);
}

} // namespace
