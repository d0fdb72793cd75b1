#pragma once
#include "tasks/next_token.hpp"

namespace weft {

/// The copy task (Kitaev, Kaiser, Levskaya 2020, arXiv:2001.04451, section 2.1): a row is 0 w 0 w, w of N/2 - 1
/// symbols; the model predicts every next token, and what counts are the symbols of the second w. The second
/// separator is not scored: nothing in the row tells its place but the length.
class Copy final : public Task {
 public:
  /// Throws as NextToken; InputError where N is odd or below 4, or the data set is a stream.
  Copy(const std::string& folder, const std::string& split, std::int64_t length);

  TaskShape shape() const override;
  std::int64_t per_epoch() const override { return rows_.per_epoch(); }
  void training(std::uint64_t seed, std::int64_t epoch, std::int64_t index, Row& to) const override;
  std::int64_t rows() const override { return rows_.rows(); }
  void evaluation(std::int64_t row, Row& to) const override;
  int vocabulary() const override { return rows_.vocabulary(); }
  std::string source_digest() const override { return rows_.source_digest(); }
  std::int64_t size() const override { return rows_.per_epoch(); }

 private:
  void score_second_half(Row& to) const;
  NextToken rows_;
};

} // namespace weft
