// Pairs of text pieces, of one document or of two: a stand-in for the arena's Retrieval task where AAN is not to be
// had.
#pragma once
#include "io/raw/example_splits.hpp"
#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace weft {

struct PairsRequest {
  std::vector<std::string> from;          ///< folders, archives, files: every file is a document
  std::string ending;                     ///< only files whose name ends so; empty: all
  std::array<std::int64_t, 3> examples{}; ///< 0: as many as the split has documents
  std::uint64_t seed = 0;
  std::int64_t length = 256; ///< L
  int shards = 1;
};

/// Generates `folder` from the documents of at least 2 L bytes (white space at both ends left out, equal ones taken
/// once): tokens are the first L bytes of one document, tokens2 the last L of the same (label 1) or another one (label
/// 0) of the same split; byte b is token b + 1, vocabulary 257, nothing is padded. Of n documents in the order of
/// SHA-256("weft pairs " + SHA-256 of the text) the first n - 2 floor(n/10) are train's, floor(n/10) each valid's and
/// test's: no document is in two splits. The label and the other document of row `index` come from Philox with (seed,
/// split, index); its first document is the index-th of the split, from the beginning again behind the last.
/// DataError where there are fewer than 20 documents, InputError at impossible numbers.
Prepared generate_pairs(const std::string& folder, const PairsRequest& request, Console* console = nullptr);

} // namespace weft
