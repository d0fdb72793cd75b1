// Philox makes four numbers at a time (a block) for elements that follow each other. The elements of a row of a tile
// are (h S + i) S + j: which blocks the keys j need, counted from the row's first block, depends on the row's first
// element modulo 4 alone. So these lists are made once per tile, and a row is made eight blocks at a time.
#ifndef WEFT_CUDA
#include "kernels/attention/host/dropout.hpp"
#include "kernels/random/words.hpp"

namespace weft::detail {
namespace {

/// The blocks that the keys of a tile need where a row begins `skipped` numbers behind the start of a block.
struct RowBlocks {
  int count = 0; ///< 0: not made yet
  std::uint32_t offsets[key_tile + words_group];
  int word[key_tile]; ///< key slot -> its number among those of the blocks

  void make(const int* key_positions, std::uint32_t skipped) {
    count = 0;
    for (int s = 0; s < key_tile; ++s) {
      const std::uint32_t number = skipped + static_cast<std::uint32_t>(key_positions[s] < 0 ? 0 : key_positions[s]);
      if (count == 0 || offsets[count - 1] != number / 4)
        offsets[count++] = number / 4;
      word[s] = 4 * (count - 1) + static_cast<int>(number % 4);
    }
    for (int n = count; n < count + words_group && n < key_tile + words_group; ++n)
      offsets[n] = 0; // of the last group, whose numbers nobody reads
  }
};

/// Bit s: the number of key slot s is kept.
std::uint32_t kept_bits(const std::uint32_t* words, const int* word, std::uint32_t threshold) {
  std::uint32_t bits = 0;
#ifdef WEFT_PHILOX_AVX2
  const __m256i limit = _mm256_set1_epi32(static_cast<int>(threshold));
  for (int s = 0; s < key_tile; s += 8) {
    const __m256i at = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(word + s));
    const __m256i x = _mm256_i32gather_epi32(reinterpret_cast<const int*>(words), at, 4);
    const __m256i keeps = _mm256_cmpeq_epi32(_mm256_max_epu32(x, limit), x); // x >= threshold
    bits |= static_cast<std::uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(keeps))) << s;
  }
#else
  for (int s = 0; s < key_tile; ++s)
    bits |= static_cast<std::uint32_t>(dropout_keeps(words[word[s]], threshold)) << s;
#endif
  return bits;
}

/// Rows become columns: squares of 16, 8, ... bits change places.
void transpose_bits(std::uint32_t* rows) {
  std::uint32_t mask = 0x0000ffffu;
  for (int size = 16; size > 0; size /= 2, mask ^= mask << size)
    for (int base = 0; base < query_tile; base += 2 * size)
      for (int r = base; r < base + size; ++r) {
        const std::uint32_t change = (rows[r] >> size ^ rows[r + size]) & mask;
        rows[r] ^= change << size;
        rows[r + size] ^= change;
      }
}

} // namespace

void dropout_bits(std::uint32_t* keep, KeepBits order, const Widening& widening, std::int64_t b, int h,
                  const int* query_positions, const int* key_positions, const std::uint32_t* seen) {
  const RandomKey key = key_of(widening.dropout, b);
  const std::uint32_t threshold = dropout_threshold(widening.dropout.probability);
  RowBlocks rows[4];
  std::uint32_t words[4 * (key_tile + words_group)];
  for (int r = 0; r < query_tile; ++r) {
    keep[r] = 0;
    if (query_positions[r] < 0 || (seen && seen[r] == 0))
      continue;
    const std::uint64_t first = dropout_element(widening, h, query_positions[r], 0);
    RowBlocks& row = rows[first % 4];
    if (row.count == 0)
      row.make(key_positions, static_cast<std::uint32_t>(first % 4));
    random_words(words, key, static_cast<std::uint32_t>(first / 4), row.offsets, row.count);
    keep[r] = kept_bits(words, row.word, threshold);
  }
  if (order == KeepBits::by_key)
    transpose_bits(keep);
}

} // namespace weft::detail
#endif
