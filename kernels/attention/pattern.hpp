// An attention pattern as data: which keys each query of one head sees, as lists of tiles.
//
// A Pattern is a few passes over one sequence of N positions. A pass names the order in which it walks the queries,
// and has one or more parts; a part names the order of its keys (all positions or a gathered subset), a rule, and for
// every tile of 32 query slots the sorted list of tiles of 32 key slots that hold at least one allowed pair. The sets
// of all parts are disjoint: every pair (i, j) is seen at most once, so the online softmax can run through the passes
// one after the other. The rule is evaluated here, once: a tile in which some pair is not allowed carries a bit mask
// (equal masks are kept once), and the kernels read nothing but tiles and masks.
#pragma once
#include "kernels/attention/tiles.hpp"
#include "kernels/common/types.hpp"
#include <functional>
#include <vector>

namespace weft {

/// Which pairs of a part are allowed. l is the block length, window or stride of the kinds that have one.
struct Rule {
  enum Kind {
    causal,        ///< j <= i
    window,        ///< j <= i and i - j < l: exactly the last l keys, self included
    residue,       ///< j <= i and (i - j) mod l = 0
    residue_older, ///< (i - j) mod l = 0 and i - j >= l: residue without the query's own position
    block,         ///< j <= i and j div l = i div l
    earlier_block, ///< j div l < i div l
    same_block     ///< j div l = i div l, later keys too: the one rule that is not causal
  };
  Kind kind = causal;
  int l = 1;
};

/// Whether the query at position i may see the key at position j.
WEFT_FUNCTION bool allowed(const Rule& rule, int i, int j) {
  switch (rule.kind) {
  case Rule::causal:
    return j <= i;
  case Rule::window:
    return j <= i && i - j < rule.l;
  case Rule::residue:
    return j <= i && (i - j) % rule.l == 0;
  case Rule::residue_older:
    return i - j >= rule.l && (i - j) % rule.l == 0;
  case Rule::block:
    return j <= i && j / rule.l == i / rule.l;
  case Rule::earlier_block:
    return j / rule.l < i / rule.l;
  case Rule::same_block:
    return j / rule.l == i / rule.l;
  }
  return false;
}

/// Compressed rows: the entries of row r are entries[begin[r]] .. entries[begin[r + 1] - 1], sorted by tile.
struct TileLists {
  std::vector<std::int64_t> begin;
  std::vector<TileEntry> entries;
};

struct Part {
  std::vector<int> key_order; ///< key slot -> position; empty: the identity over N
  Rule rule;
  TileLists key_tiles;   ///< for every query tile its key tiles
  TileLists query_tiles; ///< the transpose: for every key tile its query tiles
};

struct Pass {
  std::vector<int> query_order; ///< query slot -> position, a permutation of N; empty: the identity
  std::vector<int> query_slot;  ///< its inverse; empty: the identity
  std::vector<Part> parts;
};

struct Pattern {
  int length = 0; ///< N
  std::vector<Pass> passes;
  std::vector<TileMask> masks;
};

/// Appends to `tiles` the key tiles that query tile `tile` might need, ascending. Tiles without a pair are dropped
/// later.
using Candidates = std::function<void(int tile, std::vector<int>& tiles)>;

/// Starts a pass. Throws std::invalid_argument unless query_order is empty or a permutation of N.
Pass& add_pass(Pattern& pattern, std::vector<int> query_order = {});

/// Adds a part to the last pass: goes through the candidates, drops tiles that hold no allowed pair, marks the others
/// full or partial, and builds the transpose. `key_order` empty: all N positions in order; a gathered list otherwise
/// (which may be empty in effect: pass no candidates). Time: one test per candidate, 1024 more per partial one.
void add_part(Pattern& pattern, Rule rule, const Candidates& candidates);
void add_part(Pattern& pattern, Rule rule, std::vector<int> key_order, const Candidates& candidates);

/// Drops passes that see no pair at all (the first stays), so that no kernel is started for them.
void drop_empty_passes(Pattern& pattern);

/// The sorted keys that query i really sees, read from the tile lists. O(keys). Throws std::out_of_range.
std::vector<int> keys_of(const Pattern& pattern, int i);

struct PatternWork {
  std::int64_t keys = 0;  ///< pairs (i, j), exactly
  std::int64_t tiles = 0; ///< tiles executed, 32 x 32 pairs each at most
};
PatternWork pattern_work(const Pattern& pattern);

// The builders, one file each in patterns/. All but the bidirectional ones are causal. They take any N >= 1, l >= 1, 1
// <= c <= l; otherwise they throw std::invalid_argument. The formulas are in docs/attention.md.

Pattern dense(int length);                   ///< j <= i
Pattern local(int length, int l);            ///< i - l < j <= i (set 1 of strided)
Pattern strided_residues(int length, int l); ///< j <= i, (i - j) mod l = 0 (set 2 of strided)
/// The union of the two, with a window of 1 .. l keys; 0 stands for l, as in the paper.
Pattern strided_merged(int length, int l, int window = 0);
Pattern fixed_block(int length, int l); ///< j <= i, same block of l (set 1 of fixed)
/// j <= i, j mod l in [l - (group + 1) c, l - group c - 1] (set 2 of fixed; group 0 is the end of the block). The first
/// queries see no key: their output is zero, their log-sum-exp -infinity, their gradients zero.
Pattern fixed_summary(int length, int l, int c, int group);
Pattern fixed_merged(int length, int l, int c, int group); ///< the union of the two

/// j div l = i div l, later keys too: the contiguous local attention of an encoder (Tay et al. 2021, arXiv:2011.04006,
/// section 3). It shows a model that predicts tokens what it is to predict: there it is for leak audits only.
Pattern block_bidirectional(int length, int l);

/// All keys for every query: dense attention of an encoder, which predicts nothing that it sees.
Pattern dense_bidirectional(int length);

/// The number of summary groups in a block, l div c; head h takes group h mod this, or group 0 where all share.
constexpr int summary_groups(int l, int c) { return l / c; }

namespace detail {
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
void require(bool condition, const char* expected);
} // namespace detail

} // namespace weft
