#pragma once
#include "config/config.hpp"
#include "tasks/task.hpp"

namespace weft {

/// Rows of the kind that the input file asks for, without data: made-up tokens of full length, for measuring. Where
/// classes are predicted, model.classes says how many (resolve_from_data).
class MadeUp final : public Task {
 public:
  explicit MadeUp(const Config& config);
  TaskShape shape() const override { return shape_; }
  std::int64_t per_epoch() const override { return rows_; }
  void training(std::uint64_t seed, std::int64_t epoch, std::int64_t index, Row& to) const override;
  std::int64_t rows() const override { return rows_; }
  void evaluation(std::int64_t row, Row& to) const override;
  int vocabulary() const override { return vocabulary_; }
  std::string source_digest() const override { return ""; }
  std::int64_t size() const override { return rows_; }

 private:
  TaskShape shape_;
  int vocabulary_;
  std::int64_t rows_;
};

} // namespace weft
