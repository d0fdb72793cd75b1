// ListOps expressions drawn by the rule of the Long Range Arena and of the original data set of 2018.
#pragma once
#include "io/raw/listops_set.hpp"
#include <array>
#include <cstdint>
#include <string>

namespace weft {

/// Which trees are drawn and kept.
struct ListOpsRule {
  int max_depth = 10;             ///< at this depth there are digits only; the root has depth 1
  int max_arguments = 10;         ///< of a list; at least 2
  int min_length = 500;           ///< kept: min_length < L < max_length, L symbols without parentheses
  int max_length = 2000;          ///< 0: at most most_listops_symbols
  ListOpsCharacters characters{}; ///< kept, too: of the official text
};
constexpr int most_listops_symbols = 100'000;

/// What a tree is drawn with, in the order in which the rule asks.
class ListOpsDice {
 public:
  virtual ~ListOpsDice() = default;
  virtual bool nests() = 0;             ///< true with probability 1/4
  virtual int arguments(int most) = 0;  ///< uniform in 2 .. most
  virtual int digit() = 0;              ///< uniform in 0 .. 9
  virtual std::uint8_t operation() = 0; ///< uniform in listops_min .. listops_sm
};

/// Draws one tree: at depth d < max_depth a list with probability 1/4, else a digit; of a list first the count of its
/// arguments, then these in order (depth d + 1), then its operator. False where it is not kept; a tree that has become
/// too long is left unfinished.
bool draw_listops(ListOpsDice& dice, const ListOpsRule& rule, ListOps& symbols);

/// What to generate.
struct ListOpsRequest {
  ListOpsRule rule;
  std::array<std::int64_t, 3> examples{96'000, 2'000, 2'000};
  std::uint64_t seed = 0;
  ListOpsForm form = ListOpsForm::arena;
  std::string tsv; ///< a folder for the official files as well; empty: none
};

/// Generates `folder`. All expressions of the three splits are distinct. Row `index` of a split is the first kept and
/// new tree of a Philox stream of (seed, split, index); trees of earlier rows (train, then valid, then test) are not
/// new. InputError where the rule is impossible, or where 200,000 draws in a row give nothing new.
Prepared generate_listops(const std::string& folder, const ListOpsRequest& request, const ListOpsShape& shape,
                          Console* console = nullptr);

} // namespace weft
