// A split of a data set as sequences of N tokens: which ones an epoch trains on and in which order, and the windows an
// evaluation scores.
#pragma once
#include "io/shards.hpp"
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace weft {

/// A pseudo-random permutation of 0 .. n-1 as a function: the place of `index` in the order of (seed, epoch).
/// Four Feistel rounds on Philox numbers, walking the cycle until the value is below n; nothing is stored.
std::int64_t shuffled(std::int64_t index, std::int64_t n, std::uint64_t seed, std::uint32_t epoch);

class Sequences {
 public:
  /// Opens a split. Throws DataError (damaged, missing or empty), InputError (examples of another length than N, padded
  /// ones, pairs). Reading throws DataError where a token is not below the data's vocabulary.
  Sequences(const std::string& folder, const std::string& split, std::int64_t length);

  std::int64_t tokens() const;
  int vocabulary() const;
  /// InputError where a model with `vocabulary` symbols (model.vocabulary) does not know all tokens of the data.
  void require_known(std::int64_t vocabulary) const;
  std::string source_digest() const;

  /// Training sequences of one epoch. A stream of S tokens gives floor(S/N) - 1 of them (one at least): each epoch
  /// takes an offset below N at random and cuts windows from there, without overlap, so that over epochs every byte is
  /// met at every place of the window. Examples give one each.
  std::int64_t per_epoch() const;
  /// Sequence `index` of epoch `epoch` in its random order: N tokens to `to`.
  void training(std::uint64_t seed, std::int64_t epoch, std::int64_t index, std::uint16_t* to) const;

  /// Evaluation: windows that score each token of the split exactly once, each (but in the first window) with at least
  /// `minimum_context` tokens before it: windows of N slide by N - minimum_context and score what is new. The last
  /// window of a stream reaches back to be full and scores only what is left. Examples are scored whole; with a
  /// minimum context they are an InputError.
  std::int64_t windows(std::int64_t minimum_context = 0) const;
  struct Scored {
    std::int64_t first, last; ///< slots of the window that count
  };
  Scored window(std::int64_t index, std::uint16_t* to, std::int64_t minimum_context = 0) const;

 private:
  void read_stream(std::int64_t first, std::int64_t count, std::uint16_t* to) const;
  void read_example(std::int64_t index, std::uint16_t* to) const;
  void require_sound(const std::uint16_t* tokens, std::int64_t count) const;
  std::string folder_, split_;
  std::int64_t length_;
  std::optional<TokenStream> stream_;
  std::optional<Examples> examples_;
  mutable std::vector<std::uint8_t> bytes_;
};

} // namespace weft
