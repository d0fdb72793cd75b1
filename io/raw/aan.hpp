// The arena's Retrieval task: pairs of papers of the ACL Anthology Network, linked by a citation or not.
#pragma once
#include "io/raw/byte_stream.hpp"
#include <cstdint>
#include <string>
#include <vector>

namespace weft {

class Console;

struct AanRequest {
  std::int64_t length = 4000; ///< bytes of each text that are kept; at most 10,000
  int shards = 1;
};

/// Prepares `folder` from new_aan_pairs.{train,eval,test}.tsv (lra_release.gz, its folder or the files): five columns
/// without quoting: label, two ids, two texts. Byte b is token b + 1, padded with 0, vocabulary 257; `length` and
/// `length2` are the bytes kept; label 1 (written 1, 1.0 or 0, 0.0) where one paper cites the other, 2 classes. eval is
/// the valid split. source_sha256 is that of the three files' rows as read, in the order of the splits.
/// DataError, in one line, where a file is not there or holds ids instead of texts; where a row is damaged.
Prepared prepare_aan(const std::vector<std::string>& raw, const std::string& folder, const AanRequest& request,
                     Console* console = nullptr);

} // namespace weft
