// Which pattern each layer and head attends with. The patterns themselves are the table of config/patterns.hpp.
#pragma once
#include "config/patterns.hpp"
#include <cstdint>
#include <string>
#include <vector>

namespace weft {

/// A pattern by name: equal choices are equal patterns, so a model builds each once.
struct PatternChoice {
  std::string set;                  ///< the name of a set in the pattern's row
  std::int64_t group = 0;           ///< summary sub-block, 0 the last of the block; 0 for sets without summary columns
  std::int64_t layer = 0, head = 0; ///< of sets that differ by them; else 0
  bool operator==(const PatternChoice&) const = default;
};

/// The choice of layer r (from 0) and head h (from 0). With p the sets of the pattern's row, such as fixed (block,
/// summary): merged: the union; interleaved: p[r mod |p|]; heads: p[h mod |p|] in every layer; a list e: e[r mod |e|].
/// Summary sets of head h use group h mod (l/c), or 0 with attention.shared_summary.
PatternChoice pattern_choice(const Config& config, std::int64_t layer, std::int64_t head);

/// The smallest list such that head h of this layer uses entry h mod size.
std::vector<PatternChoice> layer_choices(const Config& config, std::int64_t layer);

/// Layers r and r + period have the same patterns.
std::int64_t pattern_period(const Config& config);

/// Slots of the longest sequence: model.context and what stands in front.
std::int64_t slots_of(const Config& config);

/// For `length` slots of a sequence of slots_of; without it for all of them.
Pattern build_pattern(const Config& config, const PatternChoice& choice, std::int64_t length,
                      QueryRows rows = QueryRows::all);
Pattern build_pattern(const Config& config, const PatternChoice& choice);
Pattern pattern_of(const Config& config, std::int64_t layer, std::int64_t head);
/// layer_choices, built.
std::vector<Pattern> layer_patterns(const Config& config, std::int64_t layer);
std::vector<Pattern> layer_patterns(const Config& config, std::int64_t layer, std::int64_t length, QueryRows rows);

} // namespace weft
