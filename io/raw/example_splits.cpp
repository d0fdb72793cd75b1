#include "io/raw/example_splits.hpp"
#include "io/error.hpp"
#include "io/progress.hpp"
#include "io/raw/image_splits.hpp"
#include <algorithm>
#include <fmt/core.h>

namespace weft {

void StagedRows::append(int label, const std::vector<std::uint8_t>& bytes) {
  StopGuard::check();
  staged_.append(bytes.data(), bytes.size());
  ends_.push_back(staged_.size());
  labels_.push_back(label);
}

std::vector<std::uint8_t> StagedRows::read(std::int64_t row) const {
  std::vector<std::uint8_t> to(static_cast<std::size_t>(bytes(row)));
  staged_.read(ends_[index(row)], bytes(row), to.data());
  return to;
}

void hold_out(RowOrder& order, std::int64_t count, const std::string& salt) {
  auto& [train, valid, test] = order;
  if (count == 0) {
    valid = test;
    return;
  }
  const auto all = static_cast<std::int64_t>(train.size());
  if (count < 0 || count >= all)
    throw InputError(fmt::format("{} of {} training examples are to be held out for validation; expected 1 to {}, or 0 "
                                 "for the test split in its place",
                                 count, all, all - 1));
  std::vector<std::string> numbers;
  for (std::int64_t i = 0; i < all; ++i)
    numbers.push_back(std::to_string(i));
  std::vector<std::int64_t> places = scattered(salt, numbers);
  std::sort(places.begin(), places.end() - count);
  std::sort(places.end() - count, places.end());
  std::vector<std::int64_t> moved;
  for (const std::int64_t place : places)
    moved.push_back(train[static_cast<std::size_t>(place)]);
  valid.assign(moved.end() - count, moved.end());
  moved.resize(static_cast<std::size_t>(all - count));
  train = std::move(moved);
}

Prepared write_example_splits(const std::string& folder, const ExampleSplits& splits, int shards, Console* console) {
  Prepared prepared;
  prepared.unit = "examples";
  for (int split = 0; split < 3; ++split) {
    const std::int64_t size = splits.sizes[static_cast<std::size_t>(split)];
    Progress progress(console, fmt::format("writing {}", split_names[split]), size);
    const auto provider = [&](std::int64_t first, std::int64_t count, ExampleRows& rows) {
      for (std::int64_t i = 0; i < count; ++i) {
        StopGuard::check();
        const auto at = static_cast<std::size_t>(i);
        const std::int64_t begin = i * splits.length;
        splits.fill(split, first + i,
                    {rows.tokens.data() + begin, splits.pairs ? rows.tokens2.data() + begin : nullptr, &rows.length[at],
                     splits.pairs ? &rows.length2[at] : nullptr, &rows.label[at]});
        progress.at(first + i + 1);
      }
    };
    prepared.splits.push_back(write_examples_split(folder, split_names[split], size, splits.length, splits.pairs,
                                                   provider, shards, splits.attributes));
  }
  return prepared;
}

} // namespace weft
