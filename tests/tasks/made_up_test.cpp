// Rows without data, for measuring: of the shape that the input asks for, all tokens known to the model.
#include "tasks/collect.hpp"
#include "tasks/made_up.hpp"
#include <algorithm>
#include <gtest/gtest.h>

using namespace weft;

namespace {

TEST(MadeUp, RowsHaveTheShapeOfTheInputAndTokensThatTheModelKnows) {
  Config config;
  config.model.context = 50;
  config.model.vocabulary = 7;
  config.training.batch = 6;
  config.training.micro_batch = 3;
  const MadeUp task(config);
  EXPECT_EQ(task.shape().predictions, 50);
  EXPECT_EQ(task.shape().scored, 50);
  EXPECT_TRUE(task.shape().predicts_tokens());
  EXPECT_EQ(task.per_epoch() % config.training.batch, 0);
  Collector collector(task, 3, true);
  const Batch batch = collector.training(1, 0, 3);
  EXPECT_EQ(batch.length, 50);
  EXPECT_EQ(batch.shares, nullptr);
  EXPECT_EQ(batch.targets, batch.tokens);
  EXPECT_LT(*std::max_element(batch.tokens, batch.tokens + 150), 7);
  EXPECT_FALSE(std::equal(batch.tokens, batch.tokens + 50, batch.tokens + 50)); // rows differ
}

} // namespace
