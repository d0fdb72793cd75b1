// The version for host cores: the attention engine's tile functions on tables that are made for one tile at a time, in
// the memory of the task that needs them. Included by lsh_attention.cpp only, in builds without a device.
#pragma once
#include "kernels/attention/host/engine.hpp"
#include "kernels/common/kokkos.hpp"
#include "kernels/lsh/rule.hpp"
#include <immintrin.h>

namespace weft::detail::lsh_tiles {

constexpr int tile = query_tile;
constexpr int most_tiles = 16; ///< in the list of one tile; longer lists are gone through in parts

/// Some positions of a chunk; -1 behind the last.
inline void load_slots(int* positions, const int* order, std::int64_t begin, std::int64_t end) {
  for (int n = 0; n < tile; ++n)
    positions[n] = begin + n < end ? order[begin + n] : -1;
}
inline int last_of(const int* positions) {
  int n = tile - 1;
  while (positions[n] < 0)
    --n;
  return positions[n];
}

typedef std::int32_t Ints __attribute__((vector_size(32)));
constexpr int ints = 8, vectors = tile / ints;
inline std::uint32_t bits_of(const Ints* marks) {
  std::uint32_t bits = 0;
  for (int v = 0; v < vectors; ++v)
    bits |= static_cast<std::uint32_t>(_mm256_movemask_ps(reinterpret_cast<__m256>(marks[v]))) << (v * ints);
  return bits;
}

/// bits[c] bit r becomes bits[r] bit c.
inline void transpose_bits(std::uint32_t* to, const std::uint32_t* from) {
  for (int r = 0; r < tile; ++r)
    to[r] = from[r];
  std::uint32_t low = 0x0000ffffu;
  for (int width = 16; width > 0; width /= 2, low ^= low << width)
    for (int r = 0; r < tile; r = (r + width + 1) & ~width) {
      const std::uint32_t swap = ((to[r] >> width) ^ to[r + width]) & low;
      to[r] ^= swap << width;
      to[r + width] ^= swap;
    }
}

/// What a tile of queries, all of chunk `own` of its round, meets in this half of its window.
struct Meeting {
  const LshTables& tables;
  std::int64_t s, h;
  Chunk own, keys;
  Half half;

  const int* of(const int* table, int round) const { return table + tables.row(s, h, round); }

  /// The lanes of table[query] for the 32 queries.
  static void gather(Ints* lanes, const int* table, const int* queries) {
    for (int n = 0; n < tile; ++n)
      lanes[n / ints][n % ints] = queries[n] >= 0 ? table[queries[n]] : -1;
  }

  /// False where the sorted buckets of the two tiles do not overlap.
  bool may_see(const int* queries, const int* key_slots) const {
    if (tables.rule.other_buckets)
      return true;
    const int* bucket = of(tables.order.buckets, own.round);
    return bucket[key_slots[0]] <= bucket[last_of(queries)] && bucket[last_of(key_slots)] >= bucket[queries[0]];
  }

  /// The pairs that are seen here: LshTables::sees for 32 x 32 of them. Returns what all keys and any key have.
  struct Found {
    bool any, all;
  };
  Found mark(TileMask& mask, const int* queries, const int* key_slots) const {
    const LshRule& rule = tables.rule;
    const int* bucket = of(tables.order.buckets, own.round);
    Ints at[vectors], in[vectors];
    std::uint32_t there = 0;
    for (int n = 0; n < tile; ++n) {
      at[n / ints][n % ints] = queries[n];
      there |= queries[n] >= 0 ? 1u << n : 0u;
    }
    gather(in, bucket, queries);
    for (int n = 0; n < tile; ++n) {
      const int j = key_slots[n];
      mask.of_key[n] = 0;
      if (j < 0 || !tables.is_real(s, j))
        continue;
      Ints marks[vectors];
      for (int v = 0; v < vectors; ++v) {
        Ints m = Ints{} - 1;
        if (rule.causal)
          m &= at[v] >= j;
        if (rule.self_last)
          m &= at[v] != j;
        if (!rule.other_buckets)
          m &= in[v] == bucket[j];
        marks[v] = m;
      }
      mask.of_key[n] = bits_of(marks) & there;
    }
    if (!rule.duplicates)
      take_away_earlier(mask, queries, key_slots);
    Found found{false, true};
    for (int n = 0; n < tile; ++n) {
      found.any = found.any || mask.of_key[n] != 0;
      found.all = found.all && mask.of_key[n] == ~0u;
    }
    transpose_bits(mask.of_query, mask.of_key);
    return found;
  }

 private:
  /// Pairs that met before: in the query's own chunk, or in an earlier round.
  void take_away_earlier(TileMask& mask, const int* queries, const int* key_slots) const {
    if (half == chunk_before) {
      const int* chunk = of(tables.order.chunk_of, own.round);
      for (int n = 0; n < tile; ++n)
        if (key_slots[n] >= 0 && chunk[key_slots[n]] == own.number)
          mask.of_key[n] = 0;
    }
    for (int r = 0; r < own.round && !tables.rule.mean_of_rounds; ++r) {
      const int *chunk = of(tables.order.chunk_of, r), *bucket = of(tables.order.buckets, r);
      const Chunk wrapped = tables.before(s, r, 0);
      const int* wrapped_chunk = wrapped.round < 0 ? nullptr : of(tables.order.chunk_of, wrapped.round);
      Ints lies[vectors], in[vectors];
      gather(lies, chunk, queries);
      gather(in, bucket, queries);
      for (int n = 0; n < tile; ++n) {
        if (mask.of_key[n] == 0)
          continue;
        const int j = key_slots[n], c = chunk[j];
        const Ints before_first = Ints{} - (wrapped_chunk && wrapped_chunk[j] == wrapped.number ? 1 : 0);
        Ints met[vectors];
        for (int v = 0; v < vectors; ++v) {
          met[v] = (lies[v] == c) | (lies[v] == c + 1) | ((lies[v] == 0) & before_first);
          if (!tables.rule.other_buckets)
            met[v] &= in[v] == bucket[j];
        }
        mask.of_key[n] &= ~bits_of(met);
      }
    }
  }
};

/// A list of tiles of one side, for one tile of the other.
struct List {
  int count = 0;
  TileEntry entries[most_tiles];
  TileMask masks[most_tiles];
  int positions[most_tiles * tile];

  void clear() { count = 0; }
  bool full() const { return count == most_tiles; }
  int* slots() { return positions + count * tile; }
  TileMask& mask() { return masks[count]; }
  void take(Meeting::Found found) {
    entries[count] = {count, found.all ? full_tile : count};
    ++count;
  }
};

/// The queries of chunk c in round r, through their two chunks. first, last: whether they begin and end here.
template <class T>
void forward_chunk(const LshTables& tables, ForwardCall<T> call, const HostTiles<T>& tiles, std::int64_t s, int h,
                   int r, int c, bool first, bool last) {
  const Chunk own{r, c}, chunks[] = {own, tables.before(s, r, c)};
  List list;
  int queries[tile];
  for (std::int64_t t = tables.begin_of(own); t < tables.end_of(own); t += tile) {
    load_slots(queries, tables.order.order + tables.row(s, h, r), t, tables.end_of(own));
    bool begun = !first;
    // A pass of the engine: one that goes on where another ended, or ends, knows of passes before and behind itself.
    const auto pass = [&](bool ends) {
      const int begin[] = {0, list.count};
      const int from_nothing[] = {0, 1, 2}, from_before[] = {0, 0, 1, 2};
      const PartTables part{queries, list.positions, begin, list.entries, nullptr, nullptr, list.masks, list.count};
      call.parts = &part;
      call.pass = begun ? 1 : 0;
      call.passes = call.pass + (ends ? 1 : 2);
      call.pass_begin = begun ? from_before : from_nothing;
      tiles.forward(call, s, h, 0);
      begun = true;
      list.clear();
    };
    for (int half = 0; half < 2; ++half) {
      if (chunks[half].round < 0)
        continue;
      const Meeting meeting{tables, s, h, own, chunks[half], static_cast<Half>(half)};
      const int* order = tables.order.order + tables.row(s, h, chunks[half].round);
      for (std::int64_t k = tables.begin_of(chunks[half]); k < tables.end_of(chunks[half]); k += tile) {
        if (list.full())
          pass(false);
        load_slots(list.slots(), order, k, tables.end_of(chunks[half]));
        if (!meeting.may_see(queries, list.slots()))
          continue;
        const Meeting::Found found = meeting.mark(list.mask(), queries, list.slots());
        if (found.any)
          list.take(found);
      }
    }
    if (last || !begun || list.count > 0)
      pass(last);
  }
}

template <class T>
void forward_round(const LshTables& tables, const ForwardCall<T>& call, const HostTiles<T>& tiles, int r, bool first,
                   bool last) {
  const std::int64_t chunks = tables.chunks();
  for_each("weft::lsh_attention_forward", call.shape.batch * tables.H * chunks, [&](std::int64_t task) {
    forward_chunk(tables, call, tiles, task / chunks / tables.H, static_cast<int>(task / chunks % tables.H), r,
                  static_cast<int>(task % chunks), first, last);
  });
}

/// The gradients between the queries of one chunk and the keys of another.
template <class T>
void backward_chunks(const Meeting& meeting, const BackwardCall<T>& call, const HostTiles<T>& tiles) {
  const LshTables& tables = meeting.tables;
  const int *query_order = meeting.of(tables.order.order, meeting.own.round),
            *key_order = meeting.of(tables.order.order, meeting.keys.round);
  List list;
  int keys[tile];
  for (std::int64_t k = tables.begin_of(meeting.keys); k < tables.end_of(meeting.keys); k += tile) {
    load_slots(keys, key_order, k, tables.end_of(meeting.keys));
    const auto pass = [&] {
      const int begin[] = {0, list.count};
      const PartTables part{list.positions, keys, nullptr, nullptr, begin, list.entries, list.masks, 1};
      tiles.backward(call, part, meeting.s, static_cast<int>(meeting.h), 0, 0, list.count);
      list.clear();
    };
    for (std::int64_t t = tables.begin_of(meeting.own); t < tables.end_of(meeting.own); t += tile) {
      load_slots(list.slots(), query_order, t, tables.end_of(meeting.own));
      if (!meeting.may_see(list.slots(), keys))
        continue;
      const Meeting::Found found = meeting.mark(list.mask(), list.slots(), keys);
      if (found.any)
        list.take(found);
      if (list.full())
        pass();
    }
    if (list.count > 0)
      pass();
  }
}

/// A chunk's queries and the keys of its two chunks. No two tasks of a loop write to the same row: first all chunks
/// with themselves, then with those before, then the first chunk with what stands before it in the ring.
template <class T>
void backward_round(const LshTables& tables, const BackwardCall<T>& call, const HostTiles<T>& tiles, int r) {
  const std::int64_t chunks = tables.chunks(), heads = call.shape.batch * tables.H;
  const auto meet = [&](std::int64_t head, int c, Half half) {
    const std::int64_t s = head / tables.H;
    const Chunk own{r, c}, keys = half == own_chunk ? own : tables.before(s, r, c);
    if (keys.round >= 0)
      backward_chunks(Meeting{tables, s, head % tables.H, own, keys, half}, call, tiles);
  };
  for_each("weft::lsh_attention_backward_own", heads * chunks,
           [&](std::int64_t task) { meet(task / chunks, static_cast<int>(task % chunks), own_chunk); });
  if (chunks > 1)
    for_each("weft::lsh_attention_backward_before", heads * (chunks - 1), [&](std::int64_t task) {
      meet(task / (chunks - 1), 1 + static_cast<int>(task % (chunks - 1)), chunk_before);
    });
  if (tables.rule.cyclic)
    for_each("weft::lsh_attention_backward_first", heads, [&](std::int64_t task) { meet(task, 0, chunk_before); });
}

} // namespace weft::detail::lsh_tiles
