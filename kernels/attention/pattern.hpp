// An attention pattern as data: which keys each query of one head sees, as lists of tiles.
//
// A Pattern is a few passes over one sequence of N positions. A pass names the order in which it walks the queries,
// and has one or more parts; a part names the order of its keys (all positions or a gathered subset), a rule, and for
// every tile of 32 query slots the sorted list of tiles of 32 key slots that hold at least one allowed pair. The sets
// of all parts are disjoint: every pair (i, j) is seen at most once, so the online softmax can run through the passes
// one after the other. The rule is the builder's own (patterns/build.hpp) and is evaluated once: a tile in which some
// pair is not allowed carries a bit mask (equal masks are kept once), and the kernels read nothing but tiles and masks.
#pragma once
#include "kernels/attention/tiles.hpp"
#include <cstdint>
#include <vector>

namespace weft {

/// Compressed rows: the entries of row r are entries[begin[r]] .. entries[begin[r + 1] - 1], sorted by tile.
struct TileLists {
  std::vector<std::int64_t> begin;
  std::vector<TileEntry> entries;
};

struct Part {
  std::vector<int> key_order; ///< key slot -> position; empty: the identity over N
  TileLists key_tiles;        ///< for every query tile its key tiles
  TileLists query_tiles;      ///< the transpose: for every key tile its query tiles
};

struct PatternPass {
  std::vector<int> query_order; ///< query slot -> position, a permutation of N; empty: the identity
  std::vector<int> query_slot;  ///< its inverse; empty: the identity
  std::vector<Part> parts;
};

struct Pattern {
  int length = 0; ///< N
  std::vector<PatternPass> passes;
  std::vector<TileMask> masks;
};

/// The sorted keys that query i really sees, read from the tile lists. O(keys). Throws std::out_of_range.
std::vector<int> keys_of(const Pattern& pattern, int i);

struct PatternWork {
  std::int64_t keys = 0;  ///< pairs (i, j), exactly
  std::int64_t tiles = 0; ///< tiles executed, 32 x 32 pairs each at most
};
PatternWork pattern_work(const Pattern& pattern);

// The builders, one file each in patterns/. All but sorted_blocks and those named
// bidirectional are causal. They take any N >= 1, l >= 1,
// 1 <= c <= l; otherwise they throw std::invalid_argument. The table of config/patterns.cpp names them for input files.

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

/// Every j, later keys too.
Pattern dense_bidirectional(int length);
/// j div l = i div l, later keys too: blocks side by side. Shows a causal model what it is to predict.
Pattern block_bidirectional(int length, int l);
/// j mod l = i mod l, later keys too.
Pattern residues_bidirectional(int length, int l);
/// For a sequence of `length` positions and its ceil(length / l) sorted blocks, which begin at position `begin`: query
/// i < length sees the keys j < length of its block of l and the sorted block of the same number, begin + (i div l) l
/// and on; with cut > 0 the first `cut` sorted blocks alone. Queries from `length` on see nothing.
Pattern sorted_blocks(int length, int l, int begin, int cut = 0);

/// The number of summary groups in a block, l div c; head h takes group h mod this, or group 0 where all share.
constexpr int summary_groups(int l, int c) { return l / c; }

} // namespace weft
