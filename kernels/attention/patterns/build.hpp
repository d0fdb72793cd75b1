// What the builders of patterns are made with: passes, parts, rules, candidates.
//
// A rule says which pairs of a part are allowed. It is a small struct in its builder's file:
//
//   struct Window {
//     int l;
//     bool allowed(int i, int j) const { return j <= i && i - j < l; }
//     bool surely_full(const TileSpan& q, const TileSpan& k) const { return k.high <= q.low && q.high - k.low < l; }
//   };
//
// `l` is the period in which the spans count residues and blocks (1 where they do not matter). `allowed` is the query
// at position i and the key at position j. `surely_full` must be false unless every pair of the two tiles is allowed;
// false is always right and only slower, since the pairs are then looked at one by one.
#pragma once
#include "kernels/attention/pattern.hpp"
#include <functional>

namespace weft::build {

/// What a tile's positions have in common, so that most tiles are seen to be full without looking at the pairs.
struct TileSpan {
  int count, low, high;
  int residue, block; ///< mod l and div l if equal for all positions of the tile, else -1
};

/// j <= i, which more than one builder needs.
struct Causal {
  static constexpr int l = 1;
  bool allowed(int i, int j) const { return j <= i; }
  bool surely_full(const TileSpan& q, const TileSpan& k) const { return k.high <= q.low; }
};

/// Appends to `tiles` the key tiles that query tile `tile` might need, ascending. Tiles without a pair are dropped
/// later.
using Candidates = std::function<void(int tile, std::vector<int>& tiles)>;

/// Positions of the slots of one tile.
struct TilePositions {
  const int* at;
  int count;
};

/// The mask of a tile; returns the number of allowed pairs.
template <class Rule>
int fill_mask(const Rule& rule, TileMask& mask, const TilePositions& queries, const TilePositions& keys) {
  mask = {};
  int pairs = 0;
  for (int r = 0; r < queries.count; ++r)
    for (int s = 0; s < keys.count; ++s)
      if (rule.allowed(queries.at[r], keys.at[s])) {
        mask.of_query[r] |= 1u << s;
        mask.of_key[s] |= 1u << r;
        ++pairs;
      }
  return pairs;
}

/// A rule of any kind, tile by tile.
struct AnyRule {
  int l;
  std::function<bool(const TileSpan& q, const TileSpan& k)> surely_full;
  std::function<int(TileMask& mask, const TilePositions& queries, const TilePositions& keys)> fill;
};

template <class Rule>
AnyRule any(const Rule& rule) {
  return {rule.l, [rule](const TileSpan& q, const TileSpan& k) { return rule.surely_full(q, k); },
          [rule](TileMask& mask, const TilePositions& queries, const TilePositions& keys) {
            return fill_mask(rule, mask, queries, keys);
          }};
}

/// Starts a pass. Throws std::invalid_argument unless query_order is empty or a permutation of N.
PatternPass& add_pass(Pattern& pattern, std::vector<int> query_order = {});

/// Adds a part to the last pass: goes through the candidates, drops tiles that hold no allowed pair, marks the others
/// full or partial, and builds the transpose. `key_order` empty: all N positions in order; a gathered list otherwise
/// (which may be empty in effect: pass no candidates). Time: one test per candidate, 1024 more per partial one. Throws
/// std::length_error where the list would have more than 2^26 tiles.
void add_rule(Pattern& pattern, const AnyRule& rule, const Candidates& candidates);
void add_rule(Pattern& pattern, const AnyRule& rule, std::vector<int> key_order, const Candidates& candidates);
template <class Rule>
void add_part(Pattern& pattern, const Rule& rule, const Candidates& candidates) {
  add_rule(pattern, any(rule), candidates);
}
template <class Rule>
void add_part(Pattern& pattern, const Rule& rule, std::vector<int> key_order, const Candidates& candidates) {
  add_rule(pattern, any(rule), std::move(key_order), candidates);
}

/// The same over `keys` keys, in order, that are not the N positions but have rows of their own.
void add_rule_of(Pattern& pattern, const AnyRule& rule, int keys, const Candidates& candidates);
template <class Rule>
void add_part_of(Pattern& pattern, const Rule& rule, int keys, const Candidates& candidates) {
  add_rule_of(pattern, any(rule), keys, candidates);
}

/// Drops passes that see no pair at all (the first stays), so that no kernel is started for them.
void drop_empty_passes(Pattern& pattern);

/// Positions with time transposed: all of residue 0 mod l, then residue 1, ... each ascending; classes may differ by
/// one in length. Empty when that is the identity.
std::vector<int> transposed_time(int length, int l);
/// The columns that fixed attention gathers: j mod l in [l - (group + 1) c, l - group c - 1], ascending.
std::vector<int> summary_columns(int length, int l, int c, int group);
/// Candidates of a causal pass over transposed time: from the tile where the class of the tile's first slot starts.
Candidates same_class(const std::vector<int>& order, int l);
/// Candidates in identity order: the tiles that hold the positions first(low) .. high of a query tile low .. high.
Candidates from_position(int length, std::function<int(int)> first);
/// Candidates among gathered ascending columns: all up to the last one that `limit(high)` allows.
Candidates columns_up_to(int length, std::vector<int> columns, std::function<int(int)> limit);
/// Throws std::invalid_argument, "attention pattern: expected ...", unless the condition holds.
void require(bool condition, const char* expected);

} // namespace weft::build
