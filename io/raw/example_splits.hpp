// From rows of bytes with labels to the three splits of a data set of examples.
#pragma once
#include "io/raw/byte_stream.hpp"
#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace weft {

class Console;

constexpr const char* split_names[] = {"train", "valid", "test"};

/// Rows of any length, each with a label, collected in a file within the folder under construction.
class StagedRows {
 public:
  explicit StagedRows(const std::string& folder) : staged_(folder) {}

  void append(int label, const std::vector<std::uint8_t>& bytes);
  std::int64_t size() const { return static_cast<std::int64_t>(labels_.size()); }
  int label(std::int64_t row) const { return labels_[static_cast<std::size_t>(row)]; }
  std::int64_t bytes(std::int64_t row) const { return ends_[index(row) + 1] - ends_[index(row)]; }
  std::vector<std::uint8_t> read(std::int64_t row) const;
  /// Removes the file; nothing can be read any more.
  void drop() { staged_.drop(); }

 private:
  static std::size_t index(std::int64_t row) { return static_cast<std::size_t>(row); }
  StagedBytes staged_;
  std::vector<std::int64_t> ends_{0};
  std::vector<std::int32_t> labels_;
};

/// Rows of each split: train, valid, test.
using RowOrder = std::array<std::vector<std::int64_t>, 3>;

/// Moves `count` rows of train to valid, which is overwritten: those with the last keys, where the key of place i is
/// the SHA-256 of `salt` + i as a decimal number; both keep their order. `count` 0: valid gets the rows of test.
/// InputError where no row of train would be left.
void hold_out(RowOrder& order, std::int64_t count, const std::string& salt);

/// Where the tokens of one example go: room for `length` tokens, all 0 before.
struct ExampleRow {
  std::uint16_t *tokens, *tokens2; ///< tokens2, length2: null unless pairs
  std::int32_t *length, *length2, *label;
};

/// What write_example_splits writes.
struct ExampleSplits {
  std::array<std::int64_t, 3> sizes{};
  std::int64_t length = 0;
  bool pairs = false;
  DataSetAttributes attributes;
  /// Fills row `row` of a split; called in ascending order.
  std::function<void(int split, std::int64_t row, const ExampleRow& to)> fill;
};

/// Writes train, valid and test into the folder under construction; publish_data_set comes after it. Fills `splits` and
/// `unit`. A stop signal throws where a StopGuard lives.
Prepared write_example_splits(const std::string& folder, const ExampleSplits& splits, int shards, Console* console);

} // namespace weft
