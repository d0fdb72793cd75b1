// Labelled examples, single or in pairs, with the checks that every task on them needs.
#pragma once
#include "io/shards.hpp"
#include "tasks/task.hpp"
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace weft {

/// Which positions of a row are real.
enum class KeyBits {
  by_length, ///< those before the padding: position i where i < length
  by_token   ///< those that do not hold token 0, wherever it stands: black pixels are not real then (the arena's rule)
};

/// The classes of a data set: the attribute `classes` of its shards; where another program left it out, one more than
/// the largest label of the training split, two at least. DataError where there is no such split, where a label is
/// negative (no label), or above `classes`.
std::int64_t classes_of(const std::string& folder, const std::string& split);

/// Which rows of a split a task takes, in the split's order.
struct RowChoice {
  std::int64_t min_length = 0, max_length = 0; ///< of a row, of both documents of a pair; 0: any
  double fraction = 1;                         ///< of these: so many, drawn by the seed
  std::uint64_t seed = 0;
};

/// Which rows of a training batch share a micro-batch.
struct BatchOrder {
  bool by_length = false; ///< those of about one length; else as they were drawn
  std::int64_t batch = 1, micro_batch = 1;
};

/// A task whose row is a labelled example, or two documents and the label of the pair: one prediction of a class.
class Labelled : public Task {
 public:
  TaskShape shape() const override { return shape_; }
  std::int64_t per_epoch() const override { return size(); }
  void training(std::uint64_t seed, std::int64_t epoch, std::int64_t index, Row& to) const override;
  std::int64_t rows() const override { return size(); }
  void evaluation(std::int64_t row, Row& to) const override;
  int vocabulary() const override { return examples_.vocabulary(); }
  std::string source_digest() const override { return examples_.info().source_sha256; }
  std::int64_t size() const override { return all_ ? examples_.size() : static_cast<std::int64_t>(chosen_.size()); }

 protected:
  /// `sequences`: 1 or 2, as the data must be. `classes`: that the model tells apart, not fewer than the data has; 0:
  /// as many. Rows are cut behind `length` where none is longer. Throws as open_task.
  Labelled(const std::string& folder, const std::string& split, std::int64_t length, std::int64_t sequences,
           KeyBits bits, std::int64_t classes, const RowChoice& choice, const BatchOrder& order);

 private:
  void choose(const RowChoice& choice);
  /// Row `index` of an epoch, of the split's chosen rows: as drawn, or with the rows of its batch sorted.
  std::int64_t drawn(std::uint64_t seed, std::int64_t epoch, std::int64_t index) const;
  std::int64_t sorted(std::uint64_t seed, std::int64_t epoch, std::int64_t index) const;
  void require_length(std::int64_t row, std::int64_t length) const;
  Examples examples_;
  TaskShape shape_;
  KeyBits bits_;
  bool all_ = true;
  std::vector<std::int64_t> chosen_; ///< rows of the split; not where all are taken
  BatchOrder order_;
  std::vector<std::int32_t> lengths_; ///< of all rows of the split, of a pair's longer document; only by_length
  /// The batch that was asked for last, its rows sorted: its rows are asked for one after the other.
  mutable struct {
    std::uint64_t seed = 0;
    std::int64_t epoch = -1, first = -1;
    std::vector<std::pair<std::int32_t, std::int64_t>> rows; ///< their lengths and places among the chosen ones
  } batch_;
};

} // namespace weft
