// Generated Pathfinder pictures as a data set, and as the official folder tree.
#pragma once
#include "io/raw/byte_stream.hpp"
#include <array>
#include <cstdint>
#include <string>

namespace weft {

class Console;

struct PathfinderSetRequest {
  std::array<std::int64_t, 3> examples{160'000, 20'000, 20'000};
  std::uint64_t seed = 0;
  int size = 32;
  int contour = 0; ///< strokes of a long contour; 0: that of the size
  std::string png; ///< a folder for the official tree as well; empty: none
  int shards = 1;
};

/// Generates `folder`: examples of size^2 tokens (grey values by row, vocabulary 256), 2 classes. Picture `index` of a
/// split is a function of (seed, split, index), the size and the contour. With `png`, pathfinder<size>/
/// curv_contour_length_<contour>/ of that folder, which must not be there, gets the same pictures with metadata lines
/// as the published generator writes them, in such an order that prepare_pathfinder, asked for the same sizes, makes
/// the same data set of them, to the bit. InputError at impossible requests, before anything is written.
Prepared generate_pathfinder(const std::string& folder, const PathfinderSetRequest& request,
                             Console* console = nullptr);

} // namespace weft
