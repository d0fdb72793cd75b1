// Data sets: folders of HDF5 shards `<split>-00000-of-00004.h5` (docs/files.md). A reader opens the files, checks that
// all of them are there and belong together, and then reads only the parts it is asked for.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace weft {

constexpr std::int64_t data_format_version = 1;
constexpr int most_shards = 256; ///< of one split; a reader keeps all of them open

enum class DataKind { stream, examples };

/// Whether `folder` holds at least one shard of `split` ("train", "valid", "test").
bool has_split(const std::string& folder, const std::string& split);
/// A stream (1-D tokens) or examples (2-D tokens). DataError where there is no such split or it cannot be read.
DataKind dataset_kind(const std::string& folder, const std::string& split);

/// `<folder>/<split>-<shard>-of-<shards>.h5`
std::string shard_path(const std::string& folder, const std::string& split, int shard, int shards);

/// What the shards of one split say about themselves.
struct SplitInfo {
  std::string task;
  std::int64_t vocabulary = 0;
  std::string source_sha256; ///< of the raw bytes the data set was made from
  std::string split_sha256;  ///< of the content of this split, however many shards hold it; may be empty
  std::int64_t size = 0;     ///< tokens of a stream, or examples
  int shards = 0;
  std::int64_t classes = 0;      ///< labels are 0 .. classes - 1; 0: there are no classes
  std::int64_t scored_first = 0; ///< of examples: the first token that is to be predicted; 0: all of them
  std::string symbols;           ///< what the tokens mean, one word each with blanks between; may be empty
};

namespace detail {
struct Shards;
}

/// What streams and examples have in common: the shards of a split. Not to be read by two threads at once.
class Split {
 public:
  virtual ~Split();

  std::int64_t size() const { return info_.size; } ///< tokens, or examples
  int vocabulary() const { return static_cast<int>(info_.vocabulary); }
  /// SHA-256 of all tokens, and of the lengths and labels of examples: the same for every shard count. Stored in the
  /// shards; computed by reading everything where another program wrote them without it.
  std::string digest() const;
  const SplitInfo& info() const { return info_; }
  /// Reads everything and compares with digest(); DataError where they differ.
  void verify() const;

 protected:
  /// Opens every shard and checks format version, count of shards, attributes and sizes.
  /// Throws DataError naming the file that is missing, short, damaged or of another data set.
  Split(const std::string& folder, const std::string& split);
  Split(Split&&) noexcept;
  virtual std::string computed_digest() const = 0;
  virtual const char* contents() const = 0; ///< what it holds, in a word

  mutable SplitInfo info_;
  std::unique_ptr<detail::Shards> shards_;
};

/// A split that is one long sequence of bytes.
class TokenStream final : public Split {
 public:
  TokenStream(const std::string& folder, const std::string& split);

  /// tokens[first, first + count) into `to`. Chunks of 64 KiB are read and verified; DataError on damage.
  void read(std::int64_t first, std::int64_t count, std::uint8_t* to) const;

 private:
  std::string computed_digest() const override;
  const char* contents() const override { return "tokens"; }
};

/// A split of examples: rows of `length` tokens with the true length and a label; `pairs` have a second row each.
class Examples final : public Split {
 public:
  Examples(const std::string& folder, const std::string& split);

  std::int64_t length() const { return length_; } ///< tokens per row, padding included
  bool pairs() const { return pairs_; }
  /// Rows [row, row + count): tokens (count x length()), true lengths and labels (count each); a null pointer skips
  /// one.
  void read(std::int64_t row, std::int64_t count, std::uint16_t* tokens, std::int32_t* lengths,
            std::int32_t* labels) const;
  /// The second sequences of pairs, in the same way.
  void read_second(std::int64_t row, std::int64_t count, std::uint16_t* tokens, std::int32_t* lengths) const;
  /// One row.
  void read(std::int64_t row, std::uint16_t* tokens, std::int32_t* length, std::int32_t* label) const {
    read(row, 1, tokens, length, label);
  }

 private:
  std::string computed_digest() const override;
  const char* contents() const override { return "examples"; }

  std::int64_t length_ = 0;
  bool pairs_ = false;
};

/// What a writer must know about the data set.
struct DataSetAttributes {
  std::string task;
  std::int64_t vocabulary = 256;
  std::string source_sha256;
  std::int64_t classes = 0, scored_first = 0; ///< as in SplitInfo; stored where they are not 0
  std::string symbols{};                      ///< stored where it is not empty
};

/// Gives tokens [first, first + count); called in ascending order, each token once.
using TokenProvider = std::function<void(std::int64_t first, std::int64_t count, std::uint8_t* to)>;

/// Writes the shards of one split into `folder`, which exists; shard k of K holds tokens [size k / K, size (k+1) / K).
/// Write the whole set into an AtomicFolder, then publish_data_set(). InputError where K < 1, K > most_shards or
/// K > size.
SplitInfo write_stream_split(const std::string& folder, const std::string& split, std::int64_t size,
                             const TokenProvider& provider, int shards, const DataSetAttributes& attributes);

/// A block of rows a provider fills; vectors come sized, second ones only for pairs.
struct ExampleRows {
  std::vector<std::uint16_t> tokens, tokens2;
  std::vector<std::int32_t> length, length2, label;
};
using ExampleProvider = std::function<void(std::int64_t first, std::int64_t count, ExampleRows& rows)>;

/// The same for examples: `size` rows of `length` tokens, stored as uint8 where the vocabulary is at most 256.
/// DataError at a token outside the vocabulary, and at a label outside the classes where there are any.
SplitInfo write_examples_split(const std::string& folder, const std::string& split, std::int64_t size,
                               std::int64_t length, bool pairs, const ExampleProvider& provider, int shards,
                               const DataSetAttributes& attributes);

class AtomicFolder;
/// InputError, before any work is done, where `target` exists and is neither empty nor a data set.
void check_target(const std::string& target);
/// Renames the finished folder to `target` and returns true. Where `target` already holds the very same data in as many
/// shards (checked by reading it), drops the new one and returns false; where it holds anything else: InputError.
bool publish_data_set(AtomicFolder& built, const std::string& target);

} // namespace weft
