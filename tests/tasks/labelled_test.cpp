// Classes of sequences and of pairs: labels, true lengths, key bits, and the micro-batches that they make.
#include "config/config.hpp"
#include "io/error.hpp"
#include "tasks/classify.hpp"
#include "tasks/collect.hpp"
#include "tasks/pairs.hpp"
#include "tests/tasks/folders.hpp"
#include <gmock/gmock.h>
#include <set>

using namespace weft;
using test::LabelledFolder;

namespace {

constexpr std::int64_t N = 200;

/// Row r has 10 + 9 r tokens (the second document 5 + 4 r), all r + 1 but a zero in the middle; label r mod 3.
std::int32_t fill(std::int64_t r, int document, std::uint16_t* tokens) {
  const auto length = static_cast<std::int32_t>(document == 0 ? 10 + 9 * r : 5 + 4 * r);
  for (std::int64_t i = 0; i < N; ++i)
    tokens[i] = static_cast<std::uint16_t>(i < length && i != length / 2 ? r + 1 + 100 * document : 0);
  return length;
}
std::int32_t label(std::int64_t r) { return static_cast<std::int32_t>(r % 3); }

bool bit(const std::uint32_t* seen, std::int64_t i) { return (seen[i / 32] >> (i % 32) & 1u) != 0; }

/// The message of the error that `f` throws.
template <class E, class F>
std::string message_of(F&& f) {
  try {
    f();
  } catch (const E& error) {
    return error.what();
  }
  return "";
}

TEST(Classify, ARowHasItsLabelItsLengthAndItsKeyBits) {
  LabelledFolder folder;
  folder.split("train", 9, N, false, fill, label);
  for (const KeyBits bits : {KeyBits::by_length, KeyBits::by_token}) {
    const Classify task(folder.path, "train", N, bits);
    ASSERT_EQ(task.rows(), 9);
    EXPECT_EQ(task.shape().classes, 3);
    EXPECT_EQ(task.shape().predictions, 1);
    EXPECT_TRUE(task.shape().padded);
    for (std::int64_t r = 0; r < 9; ++r) {
      std::vector<std::uint16_t> tokens(N);
      std::vector<std::uint32_t> seen(static_cast<std::size_t>(task.shape().words()), 0xffffffffu);
      std::uint16_t target = 99;
      Row row;
      row.tokens[0] = tokens.data();
      row.seen[0] = seen.data();
      row.targets = &target;
      task.evaluation(r, row);
      const std::int64_t length = 10 + 9 * r;
      EXPECT_EQ(row.length[0], length);
      EXPECT_EQ(target, r % 3);
      for (std::int64_t i = 0; i < task.shape().words() * 32; ++i) {
        const bool real = i < length && (bits == KeyBits::by_length || i != length / 2);
        ASSERT_EQ(bit(seen.data(), i), real) << "row " << r << " position " << i;
      }
    }
  }
}

TEST(Classify, AnEpochMeetsEachRowOnceInAnOrderOfItsOwn) {
  LabelledFolder folder;
  folder.split("train", 20, N, false, fill, label);
  const Classify task(folder.path, "train", N, KeyBits::by_length);
  std::vector<std::vector<std::int64_t>> orders;
  for (std::int64_t epoch = 0; epoch < 2; ++epoch) {
    std::vector<std::int64_t> order;
    for (std::int64_t i = 0; i < task.per_epoch(); ++i) {
      std::vector<std::uint16_t> tokens(N);
      std::uint16_t target = 99;
      Row row;
      row.tokens[0] = tokens.data();
      row.targets = &target;
      task.training(3, epoch, i, row);
      EXPECT_EQ(target, (tokens[0] - 1) % 3);
      EXPECT_EQ(row.length[0], 10 + 9 * (tokens[0] - 1));
      order.push_back(tokens[0]);
    }
    EXPECT_EQ(std::set<std::int64_t>(order.begin(), order.end()).size(), 20u);
    orders.push_back(order);
  }
  EXPECT_NE(orders[0], orders[1]);
}

TEST(Classify, RowsWithoutPaddingNeedNoKeyBits) {
  const auto whole = [](std::int64_t, int, std::uint16_t* tokens) {
    std::fill(tokens, tokens + N, std::uint16_t{0});
    return static_cast<std::int32_t>(N);
  };
  LabelledFolder folder;
  folder.split("train", 4, N, false, whole, label);
  EXPECT_FALSE(Classify(folder.path, "train", N, KeyBits::by_length).shape().padded);
  EXPECT_TRUE(Classify(folder.path, "train", N, KeyBits::by_token).shape().padded);
  const Classify task(folder.path, "train", N, KeyBits::by_length);
  EXPECT_EQ(Collector(task, 2, true).evaluation(0).seen, nullptr);
}

TEST(Classify, AMicroBatchIsAsLongAsItsLongestRowRoundedUpToATile) {
  LabelledFolder folder;
  folder.split("train", 21, N, false, fill, label);
  const Classify task(folder.path, "train", N, KeyBits::by_length);
  Collector fixed(task, 3, false), variable(task, 3, true);
  for (std::int64_t first = 0; first < 21; first += 3) {
    const std::int64_t longest = 10 + 9 * (first + 2);
    const Batch wide = fixed.evaluation(first), narrow = variable.evaluation(first);
    EXPECT_EQ(wide.length, N);
    EXPECT_EQ(narrow.length, std::min(N, (longest + 63) / 64 * 64));
    const std::int64_t words = (narrow.length + 31) / 32;
    for (std::int64_t b = 0; b < 3; ++b) {
      const std::int64_t length = 10 + 9 * (first + b);
      EXPECT_EQ(variable.length(b), length);
      EXPECT_EQ(narrow.targets[b], (first + b) % 3);
      EXPECT_EQ(variable.share(b, 0), 1.0f);
      for (std::int64_t i = 0; i < narrow.length; ++i) {
        ASSERT_EQ(narrow.tokens[b * narrow.length + i], wide.tokens[b * N + i]) << b << " " << i;
        ASSERT_EQ(bit(narrow.seen + b * words, i), i < length) << b << " " << i;
      }
    }
  }
}

TEST(Classify, TheLastRowFillsAnEvaluationsLastMicroBatch) {
  LabelledFolder folder;
  folder.split("train", 4, N, false, fill, label);
  const Classify task(folder.path, "train", N, KeyBits::by_length);
  Collector collector(task, 3, true);
  const Batch batch = collector.evaluation(3);
  for (std::int64_t b = 0; b < 3; ++b) {
    EXPECT_EQ(batch.tokens[b * batch.length], 4);
    EXPECT_EQ(batch.targets[b], 0);
  }
}

/// First tokens, which tell the row, of a task's rows in an evaluation.
std::vector<std::int64_t> rows_of(const Task& task, std::int64_t width = N) {
  std::vector<std::int64_t> rows;
  for (std::int64_t r = 0; r < task.rows(); ++r) {
    std::vector<std::uint16_t> tokens(static_cast<std::size_t>(width), 0xffff);
    std::uint16_t target = 99;
    Row row;
    row.tokens[0] = tokens.data();
    row.targets = &target;
    task.evaluation(r, row);
    rows.push_back(tokens[0] - 1);
    EXPECT_EQ(target, rows.back() % 3);
    EXPECT_EQ(row.length[0], 10 + 9 * rows.back());
    for (std::int64_t i = row.length[0]; i < width; ++i)
      EXPECT_EQ(tokens[static_cast<std::size_t>(i)], 0);
  }
  return rows;
}

TEST(Choice, LeavesOutWhatIsTooShortOrTooLong) {
  LabelledFolder folder;
  folder.split("train", 20, N, false, fill, label);
  const Classify task(folder.path, "train", N, KeyBits::by_length, 0, {28, 55});
  EXPECT_EQ(rows_of(task), (std::vector<std::int64_t>{2, 3, 4, 5})); // 28, 37, 46, 55 tokens
  EXPECT_EQ(task.per_epoch(), 4);
  EXPECT_EQ(task.size(), 4);
  std::set<std::uint16_t> met;
  for (std::int64_t i = 0; i < 4; ++i) {
    std::vector<std::uint16_t> tokens(N);
    std::uint16_t target = 99;
    Row row;
    row.tokens[0] = tokens.data();
    row.targets = &target;
    task.training(1, 0, i, row);
    met.insert(tokens[0]);
  }
  EXPECT_EQ(met, (std::set<std::uint16_t>{3, 4, 5, 6}));
}

TEST(Choice, LetsTheContextBeShorterThanTheStoredRows) {
  LabelledFolder folder;
  folder.split("train", 20, N, false, fill, label);
  const Classify task(folder.path, "train", 64, KeyBits::by_length, 0, {0, 64});
  EXPECT_EQ(task.shape().tokens, 64);
  EXPECT_EQ(rows_of(task, 64), (std::vector<std::int64_t>{0, 1, 2, 3, 4, 5, 6}));
  const auto refused = [&](std::int64_t context, std::int64_t most) {
    return message_of<InputError>([&] {
      Classify(folder.path, "train", context, KeyBits::by_length, 0, RowChoice{0, most});
    });
  };
  EXPECT_THAT(refused(64, 65), testing::HasSubstr("set model.context = 200, or data.max_length, at most"));
  EXPECT_THAT(refused(64, 0), testing::HasSubstr("set model.context = 200"));
  EXPECT_THAT(refused(N + 1, 64), testing::HasSubstr("set model.context = 200"));
  EXPECT_THAT(refused(N, 9), testing::HasSubstr("no example of the train split"));
}

TEST(Choice, OfPairsGoesByTheLongerAndTheShorterDocument) {
  LabelledFolder folder;
  folder.split("train", 20, N, true, fill, label); // 10 + 9 r and 5 + 4 r tokens
  const Pairs task(folder.path, "train", N, KeyBits::by_length, 0, {13, 55});
  EXPECT_EQ(task.rows(), 4); // 13 / 28, 17 / 37, 21 / 46, 25 / 55
  const Pairs narrow(folder.path, "train", 64, KeyBits::by_length, 0, {0, 64});
  std::vector<std::uint16_t> tokens(64), second(64);
  std::uint16_t target = 99;
  Row row;
  row.tokens = {tokens.data(), second.data()};
  row.targets = &target;
  narrow.evaluation(6, row);
  EXPECT_EQ(row.length[1], 29);
  EXPECT_EQ(second[28], 107);
  EXPECT_EQ(second[29], 0);
}

TEST(Choice, AFractionIsDrawnByTheSeedAndKeepsTheOrderOfTheSplit) {
  LabelledFolder folder;
  folder.split("train", 20, N, false, fill, label);
  const auto drawn = [&](double fraction, std::uint64_t seed) {
    return rows_of(Classify(folder.path, "train", N, KeyBits::by_length, 0, {0, 0, fraction, seed}));
  };
  const auto some = drawn(0.3, 1);
  EXPECT_EQ(some.size(), 6u);
  EXPECT_TRUE(std::is_sorted(some.begin(), some.end()));
  EXPECT_EQ(std::set<std::int64_t>(some.begin(), some.end()).size(), 6u);
  EXPECT_EQ(drawn(0.3, 1), some);
  EXPECT_NE(drawn(0.3, 2), some);
  EXPECT_EQ(drawn(0.001, 1).size(), 1u); // never none
  const auto more = drawn(0.6, 1);
  EXPECT_TRUE(std::includes(more.begin(), more.end(), some.begin(), some.end()));
  EXPECT_EQ(rows_of(Classify(folder.path, "train", N, KeyBits::by_length, 0, {28, 55, 0.5, 1})).size(), 2u);
}

/// Rows of an epoch in the order in which a training gets them, by their lengths, which tell rows apart.
std::vector<std::int64_t> trained_lengths(const Task& task, std::int64_t epoch) {
  std::vector<std::int64_t> lengths;
  std::vector<std::uint16_t> tokens(N), second(N);
  std::uint16_t target = 0;
  for (std::int64_t i = 0; i < task.per_epoch(); ++i) {
    Row row;
    row.tokens = {tokens.data(), second.data()};
    row.targets = &target;
    task.training(7, epoch, i, row);
    lengths.push_back(std::max(row.length[0], row.length[1]));
  }
  return lengths;
}

TEST(ByLength, ABatchKeepsItsRowsAndMicroBatchesHoldRowsOfOneLength) {
  LabelledFolder folder;
  folder.split("train", 20, N, false, fill, label);
  const std::int64_t batch = 8, micro = 2;
  const auto plain = trained_lengths(Classify(folder.path, "train", N, KeyBits::by_length), 1);
  const auto by_length =
      trained_lengths(Classify(folder.path, "train", N, KeyBits::by_length, 0, {}, {true, batch, micro}), 1);
  ASSERT_EQ(by_length.size(), 20u);
  for (std::int64_t first = 0; first + batch <= 20; first += batch) {
    std::vector<std::int64_t> was(plain.begin() + first, plain.begin() + first + batch);
    std::sort(was.begin(), was.end());
    // groups 0, 2, 1, 3 of the sorted rows: two ranks have one short and one long group each
    std::int64_t slot = 0;
    for (const std::int64_t group : {0, 2, 1, 3}) {
      std::vector<std::int64_t> got(by_length.begin() + first + slot * micro,
                                    by_length.begin() + first + (slot + 1) * micro);
      std::sort(got.begin(), got.end());
      EXPECT_EQ(got, std::vector<std::int64_t>(was.begin() + group * micro, was.begin() + (group + 1) * micro));
      ++slot;
    }
  }
  EXPECT_TRUE(std::equal(plain.begin() + 16, plain.end(), by_length.begin() + 16)); // the rest of an epoch: as drawn
}

TEST(ByLength, AnyNumberOfMicroBatchesTakesEveryRowOnce) {
  LabelledFolder folder;
  folder.split("train", 15, N, false, fill, label);
  for (const std::int64_t micro : {1, 3, 5, 15}) {
    auto lengths = trained_lengths(Classify(folder.path, "train", N, KeyBits::by_length, 0, {}, {true, 15, micro}), 0);
    std::sort(lengths.begin(), lengths.end());
    for (std::int64_t r = 0; r < 15; ++r)
      EXPECT_EQ(lengths[static_cast<std::size_t>(r)], 10 + 9 * r) << micro;
  }
}

TEST(ByLength, OfAPairTheLongerDocumentCountsAndOfChosenRowsTheirOwnLengths) {
  LabelledFolder folder, pairs;
  folder.split("train", 20, N, false, fill, label);
  pairs.split("train", 8, N, true, fill, label);
  const RowChoice choice{28, 100, 1, 0}; // rows 2 to 10
  const auto chosen =
      trained_lengths(Classify(folder.path, "train", N, KeyBits::by_length, 0, choice, {true, 9, 9}), 0);
  EXPECT_EQ(std::set<std::int64_t>(chosen.begin(), chosen.end()).size(), 9u);
  EXPECT_EQ(trained_lengths(Pairs(pairs.path, "train", N, KeyBits::by_length, 0, {}, {true, 8, 1}), 0),
            (std::vector<std::int64_t>{10, 46, 28, 64, 19, 55, 37, 73}));
}

TEST(Choice, TheTestSplitIsNeverThinnedOut) {
  LabelledFolder folder;
  folder.split("train", 20, N, false, fill, label).split("valid", 20, N, false, fill, label);
  folder.split("test", 20, N, false, fill, label);
  Config config;
  config.data.path = folder.path;
  config.data.task = "classify";
  config.data.fraction = 0.1;
  config.data.max_length = 100;
  config.model.family = "arena";
  config.model.context = N;
  const Splits splits = open_splits(config);
  EXPECT_EQ(splits.train->rows(), 1);
  EXPECT_EQ(splits.valid->rows(), 1);
  EXPECT_EQ(splits.test->rows(), 11);
}

TEST(Pairs, FirstDocumentsComeBeforeSecondOnes) {
  LabelledFolder folder;
  folder.split("train", 12, N, true, fill, label);
  const Pairs task(folder.path, "train", N, KeyBits::by_length);
  EXPECT_EQ(task.shape().sequences, 2);
  EXPECT_EQ(task.shape().predictions, 1);
  EXPECT_EQ(task.shape().row_tokens(), 2 * N);
  const std::int64_t B = 4;
  Collector collector(task, B, true);
  const Batch batch = collector.evaluation(4); // rows 4 .. 7: at most 73 tokens
  ASSERT_EQ(batch.length, 128);
  for (std::int64_t b = 0; b < B; ++b) {
    const std::int64_t r = 4 + b, first = 10 + 9 * r, second = 5 + 4 * r;
    EXPECT_EQ(batch.targets[b], r % 3);
    EXPECT_EQ(collector.length(b), first);
    const std::int64_t at[] = {b, B + b}, length[] = {first, second};
    for (int document : {0, 1}) {
      EXPECT_EQ(batch.tokens[at[document] * 128], r + 1 + 100 * document);
      for (std::int64_t i = 0; i < 128; ++i)
        ASSERT_EQ(bit(batch.seen + at[document] * 4, i), i < length[document]) << r << " " << document << " " << i;
    }
  }
}

TEST(Classes, AreTheAttributeOrOneMoreThanTheLargestLabelOfTheTrainingSplit) {
  LabelledFolder folder;
  folder.split("train", 9, N, false, fill, [](std::int64_t r) { return static_cast<std::int32_t>(r); });
  folder.split("valid", 2, N, false, fill, label);
  EXPECT_EQ(classes_of(folder.path, "train"), 9);
  EXPECT_EQ(classes_of(folder.path, "valid"), 9);
  LabelledFolder one_class;
  one_class.split("train", 3, N, false, fill, [](std::int64_t) { return 0; });
  EXPECT_EQ(classes_of(one_class.path, "train"), 2);
}

TEST(Labelled, WhatDoesNotFitIsRefused) {
  LabelledFolder single, pairs, unlabelled, too_long, large;
  single.split("train", 9, N, false, fill, label).split("valid", 2, N, false, fill, [](std::int64_t) { return 3; });
  pairs.split("train", 9, N, true, fill, label);
  unlabelled.split("train", 2, N, false, fill, [](std::int64_t) { return -1; });
  too_long.split(
      "train", 2, N, false,
      [](std::int64_t, int, std::uint16_t* t) {
        std::fill(t, t + N, std::uint16_t{1});
        return static_cast<std::int32_t>(0);
      },
      label);
  const KeyBits bits = KeyBits::by_length;
  using testing::HasSubstr;
  EXPECT_THAT(message_of<InputError>([&] { Classify(single.path, "train", N + 1, bits); }),
              HasSubstr("set model.context = 200"));
  EXPECT_THAT(message_of<InputError>([&] { Classify(pairs.path, "train", N, bits); }),
              HasSubstr("set data.task = \"pairs\""));
  EXPECT_THAT(message_of<InputError>([&] { Pairs(single.path, "train", N, bits); }), HasSubstr("single sequences"));
  EXPECT_THAT(message_of<InputError>([&] { Classify(unlabelled.path, "train", N, bits); }), HasSubstr("no labels"));
  const Classify task(single.path, "valid", N, bits);
  EXPECT_THAT(message_of<DataError>([&] { Collector(task, 1, true).evaluation(1); }),
              HasSubstr("example 1 of the valid split of " + single.path + " has the label 3, expected 0 to 2"));
  const Classify empty(too_long.path, "train", N, bits);
  EXPECT_THAT(message_of<DataError>([&] { Collector(empty, 1, true).evaluation(0); }),
              HasSubstr("has length 0, expected 1 to 200"));
}

// Padding is what holds token 0 in either released code, and what lies behind the end in the papers' forms.
TEST(OpenTask, TakesTheKeyBitsOfTheCode) {
  LabelledFolder folder;
  folder.split("train", 9, N, false, fill, label);
  Config config;
  config.data.path = folder.path;
  config.data.task = "classify";
  config.model.family = "arena";
  config.model.context = N;
  const auto bit_of_a_zero = [&] {
    std::vector<std::uint16_t> tokens(N);
    std::vector<std::uint32_t> seen(static_cast<std::size_t>((N + 31) / 32));
    std::uint16_t target = 0;
    Row row;
    row.tokens[0] = tokens.data();
    row.seen[0] = seen.data();
    row.targets = &target;
    open_task(config, "train")->evaluation(0, row);
    return bit(seen.data(), 5);
  };
  EXPECT_TRUE(bit_of_a_zero());
  config.model.code = "nystromformer";
  EXPECT_FALSE(bit_of_a_zero());
  config.model.code = "lra";
  config.attention.form = "lra";
  EXPECT_FALSE(bit_of_a_zero());
}

TEST(OpenTask, TakesTheNextTokenWhereNothingElseIsSaid) {
  LabelledFolder folder;
  const auto whole = [](std::int64_t r, int, std::uint16_t* tokens) {
    std::fill(tokens, tokens + N, static_cast<std::uint16_t>(r));
    return static_cast<std::int32_t>(N);
  };
  folder.split("train", 9, N, false, whole, label).split("test", 2, N, false, whole, label);
  Config config;
  config.data.path = folder.path;
  config.model.context = N;
  const std::unique_ptr<Task> task = open_task(config, "train");
  EXPECT_TRUE(task->shape().predicts_tokens());
  EXPECT_EQ(task->unit(), "tokens");
  const Splits splits = open_splits(config);
  EXPECT_EQ(splits.train->rows(), 9);
  EXPECT_EQ(splits.valid, nullptr);
  EXPECT_EQ(splits.test->rows(), 2);
  config.model.vocabulary = 255;
  EXPECT_THAT(message_of<InputError>([&] { open_splits(config); }), testing::HasSubstr("model.vocabulary = 256"));
}

} // namespace
