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
  std::vector<int> key_order; ///< key slot -> position, or row among M keys of their own; empty: the identity over N
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

// The builders, one file each in patterns/. All up to fixed_merged are causal. They take any N >= 1, l >= 1,
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
/// Every one of `keys` keys that have rows of their own (AttentionShape::key_length).
Pattern every_key(int length, int keys);
/// The same for keys that are the positions first, first + 1, ...: those up to the query's own.
Pattern earlier_keys(int length, int keys, int first);
/// j div l = i div l, later keys too: blocks side by side. Shows a causal model what it is to predict.
Pattern block_bidirectional(int length, int l);
/// j mod l = i mod l, later keys too.
Pattern residues_bidirectional(int length, int l);
/// For a sequence of `length` positions and its ceil(length / l) sorted blocks, which begin at position `begin`: query
/// i < length sees the keys j < length of its block of l and the sorted block of the same number, begin + (i div l) l
/// and on; with cut > 0 the first `cut` sorted blocks alone. Queries from `length` on see nothing.
Pattern sorted_blocks(int length, int l, int begin, int cut = 0);

/// How a classifier's first slot stands among the others.
struct FirstSlot {
  bool in_front = false; ///< a vector of its own: blocks are counted from the slot behind it
  bool open = false;     ///< it sees every slot and every slot sees it
};
/// The fixed sets of above without the causal cut: j div l = i div l, or j mod l >= l - c.
Pattern sparse_both_ways(int length, int l, int c, const FirstSlot& first);
/// As the arena's released code has it: j <= i and (j div l = i div l or j mod l = 0 or j mod l >= l - c), with or
/// without a first slot in front that is open.
Pattern sparse_released(int length, int l, int c, bool first);

/// Longformer's key set: i sees j = i + t * dilation, t in -left .. right; the first `global` positions see every
/// position and are seen by every position.
struct SlidingWindow {
  int left, right, dilation = 1, global = 0;
};
Pattern longformer(int length, const SlidingWindow& window);
/// The same without the rows of the global positions, which then see no key. They see theirs by projections of their
/// own, in a call of its own: global_rows.
Pattern longformer_local(int length, const SlidingWindow& window);
/// The rows i < global see every position, the others none.
Pattern global_rows(int length, int global);

/// BigBird's blocks: patterns/big_bird.hpp says which random ones.
enum class BigBirdForm { paper, released };
struct BigBird {
  int block = 64, random = 3; ///< b, and random blocks of a row, r
  BigBirdForm form = BigBirdForm::paper;
  int layer = 0, heads = 1, head = 0; ///< whose random blocks; all from 0
};
/// The first `length` positions of a sequence of `whole`, by which blocks are counted. With nB blocks of b, block row q
/// sees: 0 and nB - 1 every block; the others 0, q - 1, q, q + 1, nB - 1 and r random ones. In the paper's form up to
/// whole = (5 + 2r) b every position sees every other.
Pattern big_bird(int length, int whole, const BigBird& sizes);

/// The number of summary groups in a block, l div c; head h takes group h mod this, or group 0 where all share.
constexpr int summary_groups(int l, int c) { return l / c; }

} // namespace weft
