// The copy task: which predictions count, in training and in evaluation.
#include "config/config.hpp"
#include "io/error.hpp"
#include "tasks/collect.hpp"
#include "tasks/copy.hpp"
#include "tasks/made_up.hpp"
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

Config config_of(const LabelledFolder& folder, std::int64_t N) {
  Config c;
  c.data.path = folder.path;
  c.data.task = "copy";
  c.model.context = N;
  return c;
}

TEST(Copy, OnlyTheSymbolsOfTheSecondHalfCount) {
  const std::int64_t N = 12, B = 2;
  LabelledFolder folder;
  folder.split("train", 5, N, false, copies(N), none);
  const Copy task(config_of(folder, N), "train");
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

TEST(Copy, TheReproductionScoresTheNextTokenAndASeparatorThatIsNotThere) {
  const std::int64_t N = 12, B = 2;
  LabelledFolder folder;
  folder.split("train", 5, N, false, copies(N), none);
  Config config = config_of(folder, N);
  config.data.scoring = "reproduction";
  const Copy task(config, "train");
  EXPECT_EQ(task.shape().scored, 6);
  Collector collector(task, B, true);
  const Batch training = collector.training(1, 0, 0);
  ASSERT_NE(training.targets, training.tokens);
  for (std::int64_t b = 0; b < B; ++b)
    for (std::int64_t i = 0; i < N; ++i) {
      EXPECT_EQ(training.targets[b * N + i], i == N - 1 ? 0 : training.tokens[b * N + i + 1]) << i;
      EXPECT_EQ(training.shares[b * N + i], i >= N / 2 ? 1.0f : 0.0f) << i; // not the second separator, at target 5
    }
  collector.evaluation(2);
  EXPECT_EQ(collector.share(0, 5), 0);
  EXPECT_EQ(collector.share(0, 6), 1);
  const MadeUp made_up(config); // for measuring: the same shape
  EXPECT_TRUE(made_up.shape().own_targets);
  EXPECT_EQ(made_up.shape().scored, 6);
}

TEST(Copy, FreshRowsAreDrawnOnceEach) {
  const std::int64_t N = 64;
  LabelledFolder folder;
  folder.split("train", 5, N, false, copies(N), none);
  Config config = config_of(folder, N);
  config.data.fresh = true;
  const Copy task(config, "train");
  const auto drawn = [&](std::uint64_t seed, std::int64_t epoch, std::int64_t index) {
    std::vector<std::uint16_t> tokens(static_cast<std::size_t>(N));
    Row row;
    row.tokens[0] = tokens.data();
    task.training(seed, epoch, index, row);
    EXPECT_EQ(row.length[0], N);
    return tokens;
  };
  const std::vector<std::uint16_t> one = drawn(1, 0, 0);
  EXPECT_EQ(one, drawn(1, 0, 0)); // a resumed run meets the same rows
  EXPECT_NE(one, drawn(2, 0, 0));
  EXPECT_NE(one, drawn(1, 1, 0));
  EXPECT_NE(one, drawn(1, 0, 1));
  for (std::int64_t i = 0; i < N / 2; ++i) {
    const std::uint16_t token = one[static_cast<std::size_t>(i)];
    EXPECT_EQ(token, one[static_cast<std::size_t>(N / 2 + i)]);
    EXPECT_EQ(token == 0, i == 0);
    EXPECT_LT(token, task.vocabulary());
  }
}

TEST(Copy, RowsThatCannotBeCopiesAreRefused) {
  LabelledFolder odd;
  odd.split("train", 3, 13, false, copies(13), none);
  EXPECT_THROW(Copy(config_of(odd, 13), "train"), InputError);
  LabelledFolder stream;
  write_stream_split(stream.path, "train", 100,
                     [](std::int64_t, std::int64_t count, std::uint8_t* to) { std::fill(to, to + count, 1); }, 1,
                     {"test", 256, ""});
  EXPECT_THROW(Copy(config_of(stream, 12), "train"), InputError);
}

} // namespace
