// What readers and writers of shards share. Private to io/shards*.cpp.
#pragma once
#include "io/digest.hpp"
#include "io/hdf5.hpp"
#include "io/shards.hpp"
#include <string>
#include <vector>

namespace weft::detail {

/// The way out of most errors here.
constexpr const char* again = "prepare the data set again (weft prepare ..., weft prepare --help)";

/// K of the file names `<split>-?????-of-K.h5`; 0 where there is none. DataError where two K are mixed.
int count_shards(const std::string& folder, const std::string& split);

/// Rows [first, first + count) of one shard.
struct Part {
  int shard;
  std::int64_t first, count;
};

/// The open files of one split.
struct Shards {
  std::string folder, split;
  SplitInfo info;
  std::vector<std::int64_t> first{0}; ///< first row of each shard, then the number of all
  std::vector<hdf5::File> files;
  std::vector<hdf5::Dataset> tokens, length, label, tokens2, length2;
  /// The parts of the shards that make up rows [first, first + count) of the split.
  std::vector<Part> parts(std::int64_t first, std::int64_t count) const;
};

/// Opens and checks all shards, or only the first.
Shards open_shards(const std::string& folder, const std::string& split, bool first_only = false);

/// floor(size * shard / shards): where the writer begins a shard.
std::int64_t first_row(std::int64_t size, int shard, int shards);

constexpr std::int64_t example_block = 256; ///< rows that pass through memory at a time

/// Makes room for `count` rows.
void resize(ExampleRows& rows, std::int64_t count, std::int64_t length, bool pairs);

/// SHA-256 of examples, row by row: tokens as uint16, length, label, then those of the second sequence.
class ExamplesDigest {
 public:
  void update(const ExampleRows& rows, std::int64_t length);
  std::string hex() { return digest_.hex(); }

 private:
  Digest digest_{Digest::Kind::sha256};
};

} // namespace weft::detail
