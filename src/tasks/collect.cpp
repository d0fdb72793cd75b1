#include "tasks/collect.hpp"
#include <algorithm>

namespace weft {

namespace {
constexpr std::int64_t tile = 64; ///< micro-batches end at a tile of the attention engine

/// Rows of `wide` numbers become rows of their first `narrow` ones, in place.
template <class T>
void narrow_rows(std::vector<T>& values, std::int64_t rows, std::int64_t wide, std::int64_t narrow) {
  for (std::int64_t r = 1; r < rows; ++r)
    std::copy_n(values.begin() + r * wide, narrow, values.begin() + r * narrow);
}
} // namespace

Collector::Collector(const Task& task, std::int64_t rows, bool variable)
    : task_(task), shape_(task.shape()), rows_(rows), variable_(variable && !shape_.predicts_tokens()),
      tokens_(at(rows * shape_.row_tokens())), targets_(at(shape_.has_targets() ? rows * shape_.predictions : 0)),
      seen_(at(shape_.padded ? rows * shape_.sequences * shape_.words() : 0)), shares_(at(rows * shape_.predictions)),
      lengths_(at(rows)) {}

/// Rows are read at their full width: only then their lengths are known.
Row Collector::place(std::int64_t b) {
  Row row;
  for (std::int64_t s = 0; s < shape_.sequences; ++s) {
    const std::int64_t sequence = s * rows_ + b;
    row.tokens[at(s)] = tokens_.data() + sequence * shape_.tokens;
    if (shape_.padded)
      row.seen[at(s)] = seen_.data() + sequence * shape_.words();
  }
  if (shape_.has_targets())
    row.targets = targets_.data() + b * shape_.predictions;
  row.shares = shares_.data() + b * shape_.predictions;
  return row;
}

Batch Collector::training(std::uint64_t seed, std::int64_t epoch, std::int64_t first) {
  const bool all_scored = shape_.scored == shape_.predictions;
  std::fill(shares_.begin(), shares_.end(), 1.0f);
  for (std::int64_t b = 0; b < rows_; ++b) {
    Row row = place(b);
    if (all_scored)
      row.shares = nullptr;
    task_.training(seed, epoch, first + b, row);
    lengths_[at(b)] = row.length;
  }
  Batch batch = laid_out();
  batch.shares = all_scored ? nullptr : shares_.data();
  return batch;
}

Batch Collector::evaluation(std::int64_t first) {
  std::fill(shares_.begin(), shares_.end(), 1.0f);
  for (std::int64_t b = 0; b < rows_; ++b) {
    Row row = place(b);
    task_.evaluation(std::min(first + b, task_.rows() - 1), row);
    lengths_[at(b)] = row.length;
  }
  return laid_out();
}

Batch Collector::laid_out() {
  std::int64_t length = shape_.tokens;
  if (variable_) {
    std::int64_t longest = 1;
    for (std::int64_t b = 0; b < rows_; ++b)
      longest = std::max(longest, this->length(b));
    length = std::min(shape_.tokens, (longest + tile - 1) / tile * tile);
  }
  if (length < shape_.tokens) {
    narrow_rows(tokens_, rows_ * shape_.sequences, shape_.tokens, length);
    if (shape_.padded)
      narrow_rows(seen_, rows_ * shape_.sequences, shape_.words(), length / 32);
  }
  Batch batch;
  batch.tokens = tokens_.data();
  batch.seen = shape_.padded ? seen_.data() : nullptr;
  batch.targets = shape_.has_targets() ? targets_.data() : tokens_.data();
  batch.length = length;
  return batch;
}

std::int64_t Collector::length(std::int64_t b) const { return std::max(lengths_[at(b)][0], lengths_[at(b)][1]); }

} // namespace weft
