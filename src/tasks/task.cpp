#include "tasks/task.hpp"
#include "config/config.hpp"
#include "io/error.hpp"
#include "tasks/classify.hpp"
#include "tasks/copy.hpp"
#include "tasks/next_token.hpp"
#include "tasks/pairs.hpp"
#include <algorithm>
#include <fmt/core.h>

namespace weft {

void Task::require_known(std::int64_t known) const {
  if (vocabulary() > known)
    throw InputError(fmt::format("{} has a vocabulary of {} and model.vocabulary is {}; a model for it is made with "
                                 "model.vocabulary = {}",
                                 folder_, vocabulary(), known, vocabulary()));
}

void Task::require_sound(const std::uint16_t* tokens, std::int64_t count) const {
  const std::uint16_t largest = *std::max_element(tokens, tokens + count);
  if (largest >= vocabulary())
    throw DataError(fmt::format("the {} split of {} holds the token {}, expected all below its vocabulary of {}; make "
                                "the data set again (weft prepare)",
                                split_, folder_, largest, vocabulary()));
}

namespace {
/// The test split is never thinned out: a figure of it is one of all its rows.
RowChoice choice_of(const Config& c, const std::string& split) {
  return {c.data.min_length, c.data.max_length, split == "test" ? 1 : c.data.fraction,
          static_cast<std::uint64_t>(c.run.seed)};
}

BatchOrder order_of(const Config& c) { return {c.data.by_length, c.training.batch, c.training.micro_batch}; }
} // namespace

std::unique_ptr<Task> open_task(const Config& config, const std::string& split) {
  const std::string &name = config.data.task, &folder = config.data.path;
  const std::int64_t N = config.model.context;
  const bool by_token = config.attention.form == "lra" || config.model.code == "nystromformer";
  const KeyBits bits = by_token ? KeyBits::by_token : KeyBits::by_length;
  if (name == "classify")
    return std::make_unique<Classify>(folder, split, N, bits, config.model.classes, choice_of(config, split),
                                      order_of(config));
  if (name == "pairs")
    return std::make_unique<Pairs>(folder, split, N, bits, config.model.classes, choice_of(config, split),
                                   order_of(config));
  if (name == "copy")
    return std::make_unique<Copy>(config, split);
  return std::make_unique<NextToken>(folder, split, N, config.evaluation.minimum_context);
}

Splits open_splits(const Config& config) {
  const auto open = [&](const std::string& split) {
    std::unique_ptr<Task> task = open_task(config, split);
    task->require_known(config.model.vocabulary);
    return task;
  };
  Splits splits;
  splits.train = open("train");
  if (has_split(config.data.path, "valid"))
    splits.valid = open("valid");
  if (has_split(config.data.path, "test"))
    splits.test = open("test");
  return splits;
}

} // namespace weft
