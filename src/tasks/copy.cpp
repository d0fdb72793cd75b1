#include "tasks/copy.hpp"
#include "io/error.hpp"
#include <algorithm>
#include <fmt/core.h>

namespace weft {

Copy::Copy(const std::string& folder, const std::string& split, std::int64_t length)
    : Task(folder, split), rows_(folder, split, length) {
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
  shape.scored = shape.tokens / 2 - 1;
  return shape;
}

void Copy::score_second_half(Row& to) const {
  if (to.shares)
    std::fill(to.shares, to.shares + rows_.shape().tokens / 2 + 1, 0.0f);
}

void Copy::training(std::uint64_t seed, std::int64_t epoch, std::int64_t index, Row& to) const {
  rows_.training(seed, epoch, index, to);
  score_second_half(to);
}

void Copy::evaluation(std::int64_t row, Row& to) const {
  rows_.evaluation(row, to);
  score_second_half(to);
}

} // namespace weft
