// BigBird's random blocks (Zaheer et al. 2020, arXiv:2007.14062), number by number as NumPy's legacy generator gives
// them to the authors' and the arena's code: MT19937 seeded with the number of the layer; permutations by exchanging
// from the end, places drawn by masked rejection.
#pragma once
#include "kernels/attention/pattern.hpp"

namespace weft {

/// Blocks that a sequence is cut into. The released code pads by b - (N mod b), a whole block where b divides N; here
/// the paper's form cuts the last block short.
int big_bird_blocks(int whole, int block, BigBirdForm form);

/// Whether every position sees every other: in the paper's form up to (5 + 2r) b of them.
bool big_bird_is_dense(int whole, const BigBird& sizes);

/// Whether every block row has r blocks to choose from.
bool big_bird_fits(int whole, const BigBird& sizes);

/// The random blocks of block rows 1 .. nB - 2 of every head of the layer: [heads][nB - 2][r].
///
/// The table (the arena's code; the authors' for 1,024, 3,072 and 4,096 positions): heads one after the other, rows in
/// order; the first r of a permutation of the row's candidates. With last = min(whole padded, 1024) / b - 1:
///   row 1             3 .. last
///   row 2             4 .. last
///   row q             1 .. min(q - 2, last) and q + 2 .. last
///   row nB - 3        1 .. last - 4
///   row nB - 2        1 .. last - 3         and of all these at most nB - 2
/// The plan (the authors' for other lengths): rows in order, in each the heads one after the other; a permutation of
/// the first e = 2r + 5 blocks, of which the first r are kept that are not 0, q - 1, q, q + 1 or e - 1, nor e - 2 in
/// row 1, nor 1 in row e - 2.
/// No row draws a block that it sees anyway, so no key counts twice.
std::vector<int> big_bird_random_blocks(int whole, const BigBird& sizes);

} // namespace weft
