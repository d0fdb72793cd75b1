// The next token of a stream or of whole examples: which windows an epoch trains on, and which ones an evaluation
// scores. Slot i of a row predicts its token i.
#pragma once
#include "io/shards.hpp"
#include "tasks/task.hpp"
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace weft {

class NextToken final : public Task {
 public:
  /// Rows of `length` tokens. Throws DataError (damaged, missing or empty), InputError (examples of another length than
  /// that, padded ones, pairs).
  NextToken(const std::string& folder, const std::string& split, std::int64_t length, std::int64_t minimum_context = 0);

  TaskShape shape() const override { return {length_, 1, length_, length_}; }
  int vocabulary() const override;
  std::string source_digest() const override;
  std::int64_t size() const override; ///< tokens
  std::string unit() const override { return "tokens"; }

  /// A stream of S tokens gives floor(S/N) - 1 rows (one at least): each epoch takes an offset below N at random and
  /// cuts windows from there, without overlap, so that over epochs every byte is met at every place of the window.
  /// Examples give one each.
  std::int64_t per_epoch() const override;
  void training(std::uint64_t seed, std::int64_t epoch, std::int64_t index, Row& to) const override;

  /// Windows that score each token of the split exactly once, each (but in the first window) with at least
  /// `minimum_context` tokens before it: windows of N slide by N - minimum_context and score what is new. The last
  /// window of a stream reaches back to be full and scores only what is left. Examples are scored whole; with a
  /// minimum context they are an InputError.
  std::int64_t rows() const override;
  void evaluation(std::int64_t row, Row& to) const override;

 private:
  void read_stream(std::int64_t first, std::int64_t count, std::uint16_t* to) const;
  void read_example(std::int64_t index, std::uint16_t* to) const;
  std::int64_t length_, minimum_context_;
  std::optional<TokenStream> stream_;
  std::optional<Examples> examples_;
  mutable std::vector<std::uint8_t> bytes_;
};

} // namespace weft
