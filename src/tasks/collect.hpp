// From rows of a task to the micro-batch that a model takes.
#pragma once
#include "model/batch.hpp"
#include "tasks/task.hpp"
#include <array>
#include <cstdint>
#include <vector>

namespace weft {

/// Holds the host arrays of one micro-batch. A batch that it returned is valid until it is asked for the next one; its
/// loss_factor, seed, step and first_sample are the caller's.
///
/// Where the model allows it (`variable`: Model::variable_length), a micro-batch is as long as its longest sequence,
/// rounded up to a multiple of 64 and at most N, and laid out with that length. A task that predicts tokens always
/// gives N.
class Collector {
 public:
  Collector(const Task& task, std::int64_t rows, bool variable);

  /// Rows first .. first + B - 1 of an epoch.
  Batch training(std::uint64_t seed, std::int64_t epoch, std::int64_t first);
  /// Rows first .. first + B - 1 of an evaluation; where fewer are left, the last one fills the rest. `shares` of the
  /// batch is null: all predictions are to be computed, and share() says which of them count.
  Batch evaluation(std::int64_t first);

  /// Of prediction `p` of row b of the last evaluation().
  float share(std::int64_t b, std::int64_t p) const { return shares_[at(b * shape_.predictions + p)]; }
  /// True length of row b, of a pair's longer document.
  std::int64_t length(std::int64_t b) const;
  std::uint16_t target(std::int64_t b) const { return targets_[at(b)]; } ///< of the class of row b
  std::int64_t rows() const { return rows_; }

 private:
  static std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }
  Row place(std::int64_t b);
  Batch laid_out();
  const Task& task_;
  TaskShape shape_;
  std::int64_t rows_;
  bool variable_;
  std::vector<std::uint16_t> tokens_, targets_; ///< targets_: where they are not the tokens
  std::vector<std::uint32_t> seen_;
  std::vector<float> shares_;
  std::vector<std::array<std::int64_t, 2>> lengths_;
};

} // namespace weft
