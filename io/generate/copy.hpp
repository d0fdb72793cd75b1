// The copy task of the Reformer paper (Kitaev, Kaiser, Levskaya 2020, section 2.1): 0 w 0 w.
#pragma once
#include "io/raw/example_splits.hpp"
#include <array>
#include <cstdint>
#include <string>

namespace weft {

struct CopyRequest {
  std::array<std::int64_t, 3> examples{12'800, 1'280, 1'280};
  std::uint64_t seed = 0;
  std::int64_t length = 1024; ///< N, even, at least 4
  int symbols = 127;          ///< of w: 1 .. symbols; at most 65,534
  bool same_rows = false;     ///< valid and test begin as train does, as in the reproduction whose figures are compared
  int shards = 1;
};

/// Generates `folder`: rows of N tokens, 0 w 0 w with w of N/2 - 1 symbols drawn uniformly by Philox from (seed, split,
/// index); vocabulary symbols + 1, no labels (-1). The attribute scored_first is N/2 + 1: the tokens of the second w,
/// the only ones that can be known. InputError at impossible numbers.
Prepared generate_copy(const std::string& folder, const CopyRequest& request, Console* console = nullptr);

} // namespace weft
