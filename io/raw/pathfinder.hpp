// The arena's Pathfinder and Path-X: are the two discs on one contour?
#pragma once
#include "io/raw/byte_stream.hpp"
#include <array>
#include <cstdint>
#include <string>

namespace weft {

class Console;

struct PathfinderRequest {
  int size = 32; ///< pixels of a side: 16 (of `weft generate`), 32, 64, 128 or 256
  std::string difficulty = "curv_contour_length_14";
  std::array<std::int64_t, 3> examples{}; ///< sizes of train, valid, test; all 0: 80, 10 and 10 %
  bool inner = true;                      ///< of two copies, the one that lies deeper
  int shards = 1;
};

/// Prepares `folder` from the official tree of one size and difficulty, in a folder or an archive (lra_release.gz in
/// either nesting): examples of size^2 tokens (grey values by row, vocabulary 256), 2 classes. Metadata files are taken
/// by number, their lines in order; empty picture files are left out and counted. Of n pictures, in the order of
/// PyTorch's random_split with seed 42 as in S4, S5 and MEGA, the first are train, the next valid, the last test; valid
/// and test are floor(n/10) each unless `examples` says otherwise. source_sha256 is that of train, valid and test, each
/// picture as label byte and pixels.
///
/// Where the source holds two copies, the note says which was taken and whether the other is the same. A sample is
/// checked for labels that do not belong to their pictures (LabelCheck); the note tells the result.
/// DataError where files are damaged, missing or something else; InputError where the request does not fit.
Prepared prepare_pathfinder(const std::string& raw, const std::string& folder, const PathfinderRequest& request,
                            Console* console = nullptr);

/// floor(n/10) each of valid and test, the rest train.
std::array<std::int64_t, 3> pathfinder_sizes(std::int64_t n);

} // namespace weft
