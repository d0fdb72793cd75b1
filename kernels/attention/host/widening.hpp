// Key bits, attention dropout and tables of scores in the tile functions of a host core (attention.hpp,
// AttentionExtras).
#pragma once
#include "kernels/attention/host/dropout.hpp"
#include "kernels/attention/host/pack.hpp"

namespace weft::detail::WEFT_HOST {

/// Bit s: key slot s of the tile is a real key of sequence b. All 32 bits in a call without key bits.
WEFT_ALWAYS std::uint32_t live_keys(const Widening& widening, std::int64_t b, const int* positions) {
  if (!widening.seen)
    return ~0u;
  const std::uint32_t* words = widening.seen + b * widening.seen_words;
  std::uint32_t live = 0;
  for (int s = 0; s < tile; ++s)
    if (positions[s] >= 0)
      live |= (words[positions[s] / 32] >> (positions[s] % 32) & 1u) << s;
  return live;
}

/// The mask of a tile without the keys that are not live; null if all pairs are seen. Where no key is taken away it is
/// that of the tables, otherwise it is made in `own`.
inline const TileMask* mask_of(const PartTables& part, TileEntry entry, std::uint32_t live, TileMask& own) {
  const TileMask* mask = entry.mask == full_tile ? nullptr : part.masks + entry.mask;
  if (live == ~0u)
    return mask;
  for (int s = 0; s < tile; ++s) {
    own.of_query[s] = (mask ? mask->of_query[s] : ~0u) & live;
    own.of_key[s] = live >> s & 1u ? (mask ? mask->of_key[s] : ~0u) : 0u;
  }
  return &own;
}

/// x[r, c] = factor x[r, c] where bit c of keep[r] is set, and 0 elsewhere, NaN and infinity too.
inline void drop(float* x, const std::uint32_t* keep, float factor) {
  for (int r = 0; r < tile; ++r)
    for (int c = 0; c < tile; c += lanes) {
      const Lanes scaled = load_lanes(x + r * tile + c) * factor;
      store_lanes(x + r * tile + c, from_bits(bits_of(scaled) & marks_of(keep[r] >> c)));
    }
}

/// The same for pairs of rows 2 k and 2 k + 1, without a factor.
inline void drop(Pair* x, const std::uint32_t* keep) {
  for (int k = 0; k < tile / 2; ++k)
    for (int c = 0; c < tile; c += lanes) {
      const Bits first = reinterpret_cast<Bits>(marks_of(keep[2 * k] >> c)) & 0xffffu;
      const Bits second = reinterpret_cast<Bits>(marks_of(keep[2 * k + 1] >> c)) & 0xffff0000u;
      store_lanes(x + k * tile + c, load_lanes(x + k * tile + c) & (first | second));
    }
}
inline void drop(float* x, const std::uint32_t* keep) { drop(x, keep, 1.0f); }

/// The first of the positions where all of them lie side by side, else -1.
WEFT_ALWAYS int first_of_run(const int* positions, int count) {
  return count > 0 && positions[count - 1] - positions[0] == count - 1 ? positions[0] : -1;
}

/// to[query slot, key slot] of a tile: the scores that the call adds; 0 in slots without a position.
WEFT_APART inline void table_tile(float* to, const Widening& widening, int h, const int* query_positions,
                                  const int* key_positions) {
  const int queries = row_count(query_positions), keys = row_count(key_positions);
  const int column = first_of_run(key_positions, keys);
  if (widening.table && column >= 0)
    return pack(to, tile,
                rows_at(table_row(widening.table, widening.table_stride, h, 0) + column, widening.table_stride,
                        query_positions),
                keys);
  fill(to, tile * tile, 0.0f);
  for (int r = 0; r < queries; ++r)
    for (int s = 0; s < keys; ++s)
      to[r * tile + s] = added_score(widening, h, query_positions[r], key_positions[s]);
}

/// The scores of a tile whose queries and whose keys lie side by side, by distance: pair (r, c) has number
/// tile - 1 - r + c of `ascending`, and of `descending` number tile - 1 + r - c.
struct TileDistances {
  alignas(64) float ascending[2 * tile], descending[2 * tile];

  /// distance: of the first key from the first query.
  WEFT_ALWAYS TileDistances(const Widening& widening, int distance, float factor) {
    for (int n = 0; n < 2 * tile; ++n) {
      const int place = distance_place(widening.reach, 0, distance + n - (tile - 1));
      ascending[n] = place < 0 ? 0.0f : factor * widening.distances[place];
    }
    for (int n = 0; n < 2 * tile - 1; ++n)
      descending[n] = ascending[2 * tile - 2 - n];
  }
};

/// Whether the scores of the tile are those of TileDistances.
WEFT_ALWAYS bool by_distance(const Widening& widening, const int* query_positions, const int* key_positions) {
  return widening.distances && first_of_run(query_positions, row_count(query_positions)) >= 0 &&
         first_of_run(key_positions, row_count(key_positions)) >= 0;
}

/// What products leave in s must still be multiplied by `scale` where they take pairs.
template <class Element>
WEFT_ALWAYS float table_factor(float scale) {
  return depth_per_element<Element> == 2 ? 1.0f / scale : 1.0f;
}

/// s[r, c] += from[tile - 1 - r + c]
WEFT_ALWAYS void add_diagonals(float* s, const float* from) {
  for (int r = 0; r < tile; ++r)
    for (int c = 0; c < tile; c += lanes)
      store_lanes(s + r * tile + c, load_lanes(s + r * tile + c) + load_lanes(from + tile - 1 - r + c));
}

/// s[query, key] += the scores that the call adds, in the unit of s.
template <class Element>
WEFT_APART inline void add_scores_by_query(float* s, const Widening& widening, int h, const int* query_positions,
                                           const int* key_positions, float scale) {
  if (by_distance(widening, query_positions, key_positions))
    return add_diagonals(
        s, TileDistances(widening, key_positions[0] - query_positions[0], table_factor<Element>(scale)).ascending);
  alignas(64) float table[tile * tile];
  table_tile(table, widening, h, query_positions, key_positions);
  const float factor = table_factor<Element>(scale);
  for (int i = 0; i < tile * tile; i += lanes)
    store_lanes(s + i, load_lanes(s + i) + factor * load_lanes(table + i));
}

/// s[key, query] += the same.
template <class Element>
WEFT_APART inline void add_scores_by_key(float* s, const Widening& widening, int h, const int* query_positions,
                                         const int* key_positions, float scale) {
  if (by_distance(widening, query_positions, key_positions))
    return add_diagonals(
        s, TileDistances(widening, key_positions[0] - query_positions[0], table_factor<Element>(scale)).descending);
  alignas(64) float table[tile * tile], turned[tile * tile];
  table_tile(table, widening, h, query_positions, key_positions);
  transpose_to_columns(turned, table, tile, table_factor<Element>(scale));
  for (int i = 0; i < tile * tile; i += lanes)
    store_lanes(s + i, load_lanes(s + i) + load_lanes(turned + i));
}

/// The table's gradient += ds[query, key] times `factor`.
WEFT_APART inline void add_slopes(float* dtable, std::int64_t stride, int h, const int* query_positions,
                                  const int* key_positions, const float* ds, float factor) {
  const int queries = row_count(query_positions), keys = row_count(key_positions);
  const int column = first_of_run(key_positions, keys);
  for (int r = 0; r < queries; ++r) {
    float* row = table_row(dtable, stride, h, query_positions[r]);
    const float* from = ds + r * tile;
    int s = 0;
    if (column >= 0) {
      row += column;
      for (; s + lanes <= keys; s += lanes)
        store_lanes(row + s, load_lanes(row + s) + factor * load_lanes(from + s));
      for (; s < keys; ++s)
        row[s] += factor * from[s];
    }
    for (; s < keys; ++s)
      row[key_positions[s]] += factor * from[s];
  }
}

/// ddistances [2 reach - 1] += the sums of ds[query, key] times `factor` over the pairs that are equally far apart.
WEFT_APART inline void add_distance_slopes(float* ddistances, int reach, const int* query_positions,
                                           const int* key_positions, const float* ds, float factor) {
  const int queries = row_count(query_positions), keys = row_count(key_positions);
  if (queries < tile || keys < tile || first_of_run(query_positions, tile) < 0 ||
      first_of_run(key_positions, tile) < 0) {
    for (int r = 0; r < queries; ++r)
      for (int s = 0; s < keys; ++s)
        if (const int place = distance_place(reach, query_positions[r], key_positions[s]); place >= 0)
          ddistances[place] += factor * ds[r * tile + s];
    return;
  }
  // Rows that follow each other go to different sums: a load would wait for the store just before it.
  constexpr int ways = 8;
  alignas(64) float sums[ways][2 * tile] = {};
  for (int r = 0; r < tile; ++r) {
    float* to = sums[r % ways] + tile - 1 - r;
    for (int c = 0; c < tile; c += lanes)
      store_lanes(to + c, load_lanes(to + c) + load_lanes(ds + r * tile + c));
  }
  for (int way = 1; way < ways; ++way)
    for (int n = 0; n < 2 * tile; n += lanes)
      store_lanes(sums[0] + n, load_lanes(sums[0] + n) + load_lanes(sums[way] + n));
  const int first = key_positions[0] - query_positions[0] - (tile - 1);
  for (int n = 0; n < 2 * tile - 1; ++n)
    if (const int place = distance_place(reach, 0, first + n); place >= 0)
      ddistances[place] += factor * sums[0][n];
}

inline void scale(float* x, int n, float factor) {
  for (int i = 0; i < n; ++i)
    x[i] *= factor;
}

} // namespace weft::detail::WEFT_HOST
