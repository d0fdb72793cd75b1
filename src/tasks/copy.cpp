#include "tasks/copy.hpp"
#include "config/families.hpp"
#include "io/error.hpp"
#include "io/generate/draws.hpp"
#include <algorithm>
#include <fmt/core.h>

namespace weft {

namespace {
constexpr std::uint32_t purpose_fresh = 0xfffffff3u; // a tensor that no model has
}

Copy::Copy(const Config& config, const std::string& split)
    : Task(config.data.path, split), own_targets_(slots_hold_their_token(config)), fresh_(config.data.fresh),
      rows_(config.data.path, split, config.model.context) {
  const std::string& folder = config.data.path;
  const std::int64_t length = config.model.context;
  if (dataset_kind(folder, split) == DataKind::stream)
    throw InputError(fmt::format("the {} split of {} is a stream; data.task = \"copy\" needs rows 0 w 0 w (weft "
                                 "generate copy)",
                                 split, folder));
  if (length < 4 || length % 2 != 0)
    throw InputError(fmt::format("got rows of {} tokens in {}, expected an even number of 4 or more: a row of the copy "
                                 "task is 0 w 0 w",
                                 length, folder));
}

TaskShape Copy::shape() const {
  TaskShape shape = rows_.shape();
  shape.own_targets = own_targets_;
  shape.scored = shape.tokens / 2 - (own_targets_ ? 0 : 1);
  return shape;
}

void Copy::score(Row& to) const {
  const std::int64_t N = rows_.shape().tokens;
  if (to.shares)
    std::fill(to.shares, to.shares + N - shape().scored, 0.0f);
  if (own_targets_) {
    std::copy_n(to.tokens[0] + 1, N - 1, to.targets);
    to.targets[N - 1] = 0;
  }
}

void Copy::training(std::uint64_t seed, std::int64_t epoch, std::int64_t index, Row& to) const {
  if (fresh_) {
    const std::int64_t N = rows_.shape().tokens, half = N / 2;
    Draws draws(seed, static_cast<std::uint32_t>(epoch), static_cast<std::uint32_t>(index), purpose_fresh);
    std::uint16_t* row = to.tokens[0];
    row[0] = row[half] = 0;
    for (std::int64_t i = 1; i < half; ++i)
      row[i] = row[half + i] =
          static_cast<std::uint16_t>(1 + draws.below(static_cast<std::uint32_t>(vocabulary() - 1)));
    to.length[0] = N;
  } else {
    rows_.training(seed, epoch, index, to);
  }
  score(to);
}

void Copy::evaluation(std::int64_t row, Row& to) const {
  rows_.evaluation(row, to);
  score(to);
}

} // namespace weft
