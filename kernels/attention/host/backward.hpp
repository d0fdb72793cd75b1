// The backward pass of one key tile against a range of query tiles on a host core: five products per tile. Columns are
// the 32 keys: s[query, key], ds[query, key], dv[e, key], dk[e, key]; only dq is summed in rows, in memory.
#pragma once
#include "kernels/attention/host/head.hpp"
#include "kernels/attention/host/slopes.hpp"

namespace weft::detail::WEFT_HOST {

/// rows[r][e] += from[r * ld + e], for the rows that are live.
inline void add_to_rows(float* base, std::int64_t stride, const int* positions, int count, const float* from, int ld,
                        int width, std::uint32_t live = ~0u) {
  for (int r = 0; r < count; ++r) {
    if (!(live >> r & 1u))
      continue;
    float* to = base + positions[r] * stride;
    for (int e = 0; e < width; ++e)
      to[e] += from[r * ld + e];
  }
}

/// The first of the entries [begin, end), sorted by tile, whose tile is not below `number`; end if none is.
inline int first_from(const TileEntry* entries, int begin, int end, int number) {
  while (begin < end) {
    const int middle = begin + (end - begin) / 2;
    if (entries[middle].tile < number)
      begin = middle + 1;
    else
      end = middle;
  }
  return begin;
}

/// Key tile kt of a head in one part.
template <class T>
struct KeyTile : Head {
  const BackwardCall<T>& call;
  const PartTables& part;
  const int* positions;
  std::uint32_t live;

  WEFT_ALWAYS KeyTile(const BackwardCall<T>& of, const PartTables& tables, std::int64_t sequence, int head, int kt)
      : Head(of.shape, sequence, head), call(of), part(tables), positions(part.key_position + kt * tile),
        live(live_keys(call.widening, b, positions)) {}
};

/// The memory of one key tile. Where products take fp32, rows of fp32 need none of their own.
template <class Element>
struct BackwardMemory : TileSizes<Element> {
  using Sizes = TileSizes<Element>;
  using Sizes::count, Sizes::pairs;
  alignas(64) Element keys[Sizes::capacity], key_columns[Sizes::capacity], value_columns[Sizes::capacity];
  alignas(64) Element queries[Sizes::capacity], slopes[Sizes::capacity];
  alignas(64) Element key_pairs[Sizes::spare], query_pairs[Sizes::spare], slope_pairs[Sizes::spare];
  alignas(64) float dk[Sizes::numbers], dv[Sizes::numbers], s[tile * tile], ds[tile * tile];
  alignas(64) float own_rows[Sizes::spare_numbers];
  const Element* keys_by_depth;

  WEFT_ALWAYS float* rows() {
    if constexpr (pairs)
      return own_rows;
    else
      return queries;
  }
};

/// Packs the keys and values; dk and dv begin with 0.
template <class T, class Element>
WEFT_ALWAYS void start(const KeyTile<T>& key, BackwardMemory<Element>& at) {
  const BackwardCall<T>& call = key.call;
  const std::int64_t stride = call.shape.row_stride_kv;
  const int row_k = key.ldk / at.count, row_v = key.ldv / at.count; // elements of a packed row
  const T *k = key.key_rows_of(call.k, stride, key.width), *v = key.key_rows_of(call.v, stride, key.value_width);
  pack(at.queries, row_v, rows_at(v, stride, key.positions, key.live), key.value_width);
  transpose_to_columns(at.value_columns, at.queries, row_v, 1.0f);
  pack(at.keys, row_k, rows_at(k, stride, key.positions, key.live), key.width);
  transpose_to_columns(at.key_columns, at.keys, row_k, call.scale);
  at.keys_by_depth = by_depth(at.key_pairs, at.keys, key.ldk);
  fill(at.dk, key.ldk * tile, 0.0f);
  fill(at.dv, key.ldv * tile, 0.0f);
}

/// The gradients from the query tile of `entry`: adds to dk, dv and, in memory, dq. `next`: null or what follows it.
template <class T, class Element>
WEFT_ALWAYS void take_in(const KeyTile<T>& key, TileEntry entry, const TileEntry* next, BackwardMemory<Element>& at) {
  const BackwardCall<T>& call = key.call;
  const AttentionShape& shape = call.shape;
  const Widening& widening = call.widening;
  const bool dropped = widening.dropout.probability > 0;
  const T* q = key.rows_of(call.q, shape.row_stride_qkv, key.width);
  const T* dout = key.rows_of(call.dout, shape.row_stride_out, key.value_width);
  TileMask own;
  const TileMask* mask = mask_of(key.part, entry, key.live, own);
  const Seen seen = mask ? Seen(mask->of_query, mask->of_key) : Seen();
  const int* positions = key.part.query_position + entry.tile * tile;
  const Rows<T> query_rows = rows_at(q, shape.row_stride_qkv, positions);
  float lse[tile] = {}, delta[tile] = {};
  for (int r = 0; r < query_rows.count; ++r) {
    lse[r] = call.lse[key.statistics + positions[r]];
    delta[r] = call.delta[key.statistics + positions[r]];
  }
  if (next) {
    const int* next_positions = key.part.query_position + next->tile * tile;
    prefetch(q, shape.row_stride_qkv, next_positions, key.width);
    prefetch(dout, shape.row_stride_out, next_positions, key.value_width);
  }
  const int row_k = key.ldk / at.count, row_v = key.ldv / at.count;
  pack(at.queries, row_k, query_rows, key.width);
  pack(at.slopes, row_v, rows_at(dout, shape.row_stride_out, positions), key.value_width);
  pair_products(at.s, at.queries, row_k, at.key_columns, elements_of<Element>(key.width), seen);
  pair_products(at.ds, at.slopes, row_v, at.value_columns, elements_of<Element>(key.value_width), seen);
  if (widening.adds_scores())
    add_scores_by_query<Element>(at.s, widening, key.h, positions, key.positions, call.scale);
  std::uint32_t keep[tile];
  if (dropped) {
    dropout_bits(keep, KeepBits::by_query, widening, key.b, key.h, positions, key.positions,
                 mask ? mask->of_query : nullptr);
    drop(at.ds, keep, widening.kept);
  }
  PairProbabilities<Element> pair(at.s, at.ds, lse, delta, call.scale, seen, call.dtable || call.ddistances);
  if (call.dtable)
    add_slopes(call.dtable, widening.table_stride, key.h, positions, key.positions, at.ds, 1.0f / call.scale);
  if (call.ddistances)
    add_distance_slopes(call.ddistances, widening.reach, positions, key.positions, at.ds, 1.0f / call.scale);
  if (dropped)
    drop(pair.p, keep); // dv is scaled once, at the end
  sum_over_pairs<Start::add>(at.dv, key.ldv, by_depth(at.slope_pairs, at.slopes, key.ldv), key.ldv, pair.p, seen);
  sum_over_pairs<Start::add>(at.dk, key.ldk, by_depth(at.query_pairs, at.queries, key.ldk), key.ldk, pair.ds, seen);
  rows_times(at.rows(), key.ldk, pair.ds_rows, at.keys_by_depth, seen);
  add_to_rows(key.rows_of(call.dq, call.dq_stride, key.width), call.dq_stride, positions, query_rows.count, at.rows(),
              key.ldk, key.width);
}

/// Adds dk and dv of the tile to those in memory.
template <class T, class Element>
WEFT_ALWAYS void finish(const KeyTile<T>& key, BackwardMemory<Element>& at) {
  const BackwardCall<T>& call = key.call;
  const int count = row_count(key.positions);
  transpose_to_rows(at.rows(), key.ldk, at.dk);
  add_to_rows(key.key_rows_of(call.dk, call.dk_stride, key.width), call.dk_stride, key.positions, count, at.rows(),
              key.ldk, key.width, key.live);
  if (call.widening.dropout.probability > 0)
    scale(at.dv, key.ldv * tile, call.widening.kept);
  transpose_to_rows(at.rows(), key.ldv, at.dv);
  add_to_rows(key.key_rows_of(call.dv, call.dv_stride, key.value_width), call.dv_stride, key.positions, count,
              at.rows(), key.ldv, key.value_width, key.live);
}

/// Key tile kt of part call.part of head h against its query tiles in [first_query, end_query).
template <class T>
void backward_tile(const BackwardCall<T>& call, const PartTables& part, std::int64_t b, int h, int kt, int first_query,
                   int end_query) {
  const TileEntry* entries = part.query_tiles_entries;
  const int list_end = part.query_tiles_begin[kt + 1];
  const int begin = first_from(entries, part.query_tiles_begin[kt], list_end, first_query);
  const int end = first_from(entries, begin, list_end, end_query);
  if (begin == end)
    return;
  const KeyTile<T> key(call, part, b, h, kt);
  if (key.live == 0)
    return;
  BackwardMemory<typename ElementOf<T>::type> at;
  start(key, at);
  for (int n = begin; n < end; ++n)
    take_in(key, entries[n], n + 1 < end ? entries + n + 1 : nullptr, at);
  finish(key, at);
}

} // namespace weft::detail::WEFT_HOST
