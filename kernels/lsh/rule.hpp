// Which keys a query sees, pair by pair: what both versions of lsh_attention.cpp share, and seen_keys.cpp lists.
#pragma once
#include "kernels/attention/attention_tables.hpp"
#include "kernels/lsh/lsh_attention.hpp"

namespace weft::detail {

enum Half { own_chunk, chunk_before };

/// A chunk of the sorted positions of a round; round < 0: there is none.
struct Chunk {
  int round, number;
};

/// One call, by value into the kernels.
struct LshTables {
  LshRule rule;
  LshOrder order;
  std::int64_t N, H;
  const std::uint32_t* seen; ///< [S][words]; null: every position is real
  std::int64_t words;

  WEFT_FUNCTION std::int64_t chunks() const { return (N + rule.chunk - 1) / rule.chunk; }
  /// Where the arrays of a head's round begin.
  WEFT_FUNCTION std::int64_t row(std::int64_t s, std::int64_t h, std::int64_t r) const {
    return ((s * H + h) * rule.rounds + r) * N;
  }
  WEFT_FUNCTION bool is_real(std::int64_t s, std::int64_t i) const {
    return !seen || (seen[s * words + i / 32] >> (i % 32) & 1u) != 0;
  }
  /// The last chunk with a real position; -1: there is none.
  WEFT_FUNCTION int last_chunk(std::int64_t s) const {
    const int real = order.real[s];
    return real == 0 ? -1 : (real - 1) / static_cast<int>(rule.chunk);
  }
  WEFT_FUNCTION int round_before(int r) const { return r == 0 ? static_cast<int>(rule.rounds) - 1 : r - 1; }

  /// The chunk before chunk c of round r, if something may be seen in it.
  WEFT_FUNCTION Chunk before(std::int64_t s, int r, int c) const {
    if (c > 0)
      return {r, c - 1};
    const int round = round_before(r), last = last_chunk(s);
    if (!rule.cyclic || last < 0 || (!rule.other_buckets && round != r))
      return {-1, 0};
    return {round, last};
  }
  WEFT_FUNCTION std::int64_t begin_of(Chunk chunk) const { return chunk.number * rule.chunk; }
  WEFT_FUNCTION std::int64_t end_of(Chunk chunk) const {
    return begin_of(chunk) + rule.chunk < N ? begin_of(chunk) + rule.chunk : N;
  }

  /// Whether i meets j in round r, in the one chunk or in the other, and may see it for its bucket.
  WEFT_FUNCTION bool meets_own(std::int64_t s, std::int64_t h, int r, int i, int j) const {
    const std::int64_t at = row(s, h, r);
    return order.chunk_of[at + i] == order.chunk_of[at + j] &&
           (rule.other_buckets || order.buckets[at + i] == order.buckets[at + j]);
  }
  WEFT_FUNCTION bool meets_before(std::int64_t s, std::int64_t h, int r, int i, int j) const {
    const std::int64_t at = row(s, h, r);
    const Chunk chunk = before(s, r, order.chunk_of[at + i]);
    return chunk.round >= 0 && order.chunk_of[row(s, h, chunk.round) + j] == chunk.number &&
           (rule.other_buckets || order.buckets[at + i] == order.buckets[at + j]);
  }
  /// Whether i, which meets j in this half of round r, sees it there.
  WEFT_FUNCTION bool sees(std::int64_t s, std::int64_t h, int r, Half half, int i, int j) const {
    const std::int64_t at = row(s, h, r);
    if ((rule.causal && j > i) || (rule.self_last && j == i) || !is_real(s, j) ||
        (!rule.other_buckets && order.buckets[at + i] != order.buckets[at + j]))
      return false;
    if (rule.duplicates)
      return true;
    if (half == chunk_before && meets_own(s, h, r, i, j))
      return false;
    for (int earlier = 0; earlier < r && !rule.mean_of_rounds; ++earlier)
      if (meets_own(s, h, earlier, i, j) || meets_before(s, h, earlier, i, j))
        return false;
    return true;
  }
  /// body(j) for every key that query i sees in rounds [first, end), each time that it does.
  template <class Body>
  WEFT_FUNCTION void keys_of(std::int64_t s, std::int64_t h, int first, int end, int i, const Body& body) const {
    for (int r = first; r < end; ++r) {
      const int c = order.chunk_of[row(s, h, r) + i];
      const Chunk chunks[] = {{r, c}, before(s, r, c)};
      for (int half = 0; half < 2; ++half)
        if (chunks[half].round >= 0) {
          const int* sorted = order.order + row(s, h, chunks[half].round);
          for (std::int64_t slot = begin_of(chunks[half]); slot < end_of(chunks[half]); ++slot)
            if (sees(s, h, r, static_cast<Half>(half), i, sorted[slot]))
              body(sorted[slot]);
        }
    }
  }
};

} // namespace weft::detail
