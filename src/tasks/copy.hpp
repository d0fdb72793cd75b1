#pragma once
#include "tasks/next_token.hpp"

namespace weft {

/// The copy task (Kitaev, Kaiser, Levskaya 2020, arXiv:2001.04451, section 2.1): a row is 0 w 0 w, w of N/2 - 1
/// symbols; the model predicts every next token. What counts (data.scoring):
///   paper         the symbols of the second w, N/2 - 1 of them. Slot i predicts token i. The second separator is not
///                 scored: nothing in the row tells its place but the length. Chance: 1 / symbols.
///   reproduction  slot i holds token i and predicts token i+1, the last one a separator that is not in the row; the
///                 second half of the slots counts, N/2 of them. The last answer is always 0: chance is
///                 ((N/2 - 1) / symbols + 1) / (N/2).
/// With data.fresh the training rows are drawn by Philox from (seed, epoch, index) instead of read.
class Copy final : public Task {
 public:
  /// Throws as NextToken; InputError where N is odd or below 4, or the data set is a stream.
  Copy(const Config& config, const std::string& split);

  TaskShape shape() const override;
  std::int64_t per_epoch() const override { return rows_.per_epoch(); }
  void training(std::uint64_t seed, std::int64_t epoch, std::int64_t index, Row& to) const override;
  std::int64_t rows() const override { return rows_.rows(); }
  void evaluation(std::int64_t row, Row& to) const override;
  int vocabulary() const override { return rows_.vocabulary(); }
  std::string source_digest() const override { return rows_.source_digest(); }
  std::int64_t size() const override { return rows_.per_epoch(); }

 private:
  void score(Row& to) const;
  bool own_targets_, fresh_;
  NextToken rows_;
};

} // namespace weft
