// The copy task: which predictions count, in training and in evaluation.
#include "io/error.hpp"
#include "tasks/collect.hpp"
#include "tasks/copy.hpp"
#include "tests/tasks/folders.hpp"
#include <gmock/gmock.h>

using namespace weft;
using test::LabelledFolder;

namespace {

/// 0 w 0 w with w = r+1, r+2, ... of N/2 - 1 symbols.
test::Fill copies(std::int64_t N) {
  return [N](std::int64_t r, int, std::uint16_t* tokens) {
    for (std::int64_t i = 0; i < N; ++i)
      tokens[i] = static_cast<std::uint16_t>(i % (N / 2) == 0 ? 0 : r + i % (N / 2));
    return static_cast<std::int32_t>(N);
  };
}
std::int32_t none(std::int64_t) { return -1; }

TEST(Copy, OnlyTheSymbolsOfTheSecondHalfCount) {
  const std::int64_t N = 12, B = 2;
  LabelledFolder folder;
  folder.split("train", 5, N, false, copies(N), none);
  const Copy task(folder.path, "train", N);
  EXPECT_EQ(task.shape().predictions, N);
  EXPECT_EQ(task.shape().scored, 5); // w has N/2 - 1 symbols, and the second separator is not scored
  EXPECT_TRUE(task.shape().predicts_tokens());
  EXPECT_EQ(task.rows(), 5);
  EXPECT_EQ(task.per_epoch(), 5);
  Collector collector(task, B, true);
  const Batch training = collector.training(1, 0, 0);
  ASSERT_NE(training.shares, nullptr);
  EXPECT_EQ(training.targets, training.tokens);
  EXPECT_EQ(training.seen, nullptr);
  EXPECT_EQ(training.length, N); // a model of tokens is never given less
  for (std::int64_t b = 0; b < B; ++b) {
    double scored = 0;
    for (std::int64_t i = 0; i < N; ++i) {
      EXPECT_EQ(training.shares[b * N + i], i > N / 2 ? 1.0f : 0.0f) << i;
      scored += static_cast<double>(training.shares[b * N + i]);
    }
    EXPECT_EQ(scored, static_cast<double>(task.shape().scored));
  }
  const Batch evaluation = collector.evaluation(2);
  EXPECT_EQ(evaluation.shares, nullptr);
  for (std::int64_t i = 0; i < N; ++i) {
    EXPECT_EQ(collector.share(1, i), i > N / 2 ? 1.0f : 0.0f) << i;
    EXPECT_EQ(evaluation.tokens[N + i], i % 6 == 0 ? 0 : 3 + i % 6);
  }
}

TEST(Copy, RowsThatCannotBeCopiesAreRefused) {
  LabelledFolder odd;
  odd.split("train", 3, 13, false, copies(13), none);
  EXPECT_THROW(Copy(odd.path, "train", 13), InputError);
  LabelledFolder stream;
  write_stream_split(stream.path, "train", 100,
                     [](std::int64_t, std::int64_t count, std::uint8_t* to) { std::fill(to, to + count, 1); }, 1,
                     {"test", 256, ""});
  EXPECT_THROW(Copy(stream.path, "train", 12), InputError);
}

} // namespace
