// The forward pass of one query tile on a host core.
#pragma once
#include "kernels/attention/host/head.hpp"
#include "kernels/attention/host/softmax.hpp"

namespace weft::detail::WEFT_HOST {

/// Query tile t of a head in one pass.
template <class T>
struct QueryTile : Head {
  const ForwardCall<T>& call;
  int t;
  const PartTables *parts, *parts_end; ///< those of this pass
  bool last;                           ///< no pass follows in which this head has parts
  const T *k, *v;
  float* open;
  int positions[tile];

  WEFT_ALWAYS QueryTile(const ForwardCall<T>& of, std::int64_t sequence, int head, int number)
      : Head(of.shape, sequence, head), call(of), t(number) {
    const AttentionShape& shape = call.shape;
    const int group = h % call.groups;
    const int* begin = call.pass_begin + group * (call.passes + 1);
    parts = call.parts + group * call.parts_per_group + begin[call.pass];
    parts_end = parts + (begin[call.pass + 1] - begin[call.pass]);
    last = begin[call.pass + 1] == begin[call.passes];
    k = key_rows_of(call.k, shape.row_stride_kv, width);
    v = key_rows_of(call.v, shape.row_stride_kv, value_width);
    open = rows_of(call.open, call.open_stride, value_width);
    for (int r = 0; r < tile; ++r) // without a part no order is known, and any will do
      positions[r] = t * tile + r < shape.length ? t * tile + r : -1;
    if (parts != parts_end)
      for (int r = 0; r < tile; ++r)
        positions[r] = parts->query_position[t * tile + r];
  }
};

/// The memory of one query tile. Where products take fp32, probabilities and rows of fp32 need none of their own.
template <class Element>
struct ForwardMemory : TileSizes<Element> {
  using Sizes = TileSizes<Element>;
  using Sizes::count, Sizes::pairs;
  alignas(64) Element packed[Sizes::capacity], queries[Sizes::capacity], values[Sizes::capacity];
  alignas(64) Element value_pairs[Sizes::spare], weights[pairs ? tile * tile / count : 1];
  alignas(64) float o[Sizes::numbers], s[tile * tile], own_rows[Sizes::spare_numbers];
  SoftmaxState state;

  WEFT_ALWAYS float* rows() {
    if constexpr (pairs)
      return own_rows;
    else
      return packed;
  }
  WEFT_ALWAYS Element* probabilities() {
    if constexpr (pairs)
      return weights;
    else
      return s;
  }
};

/// Packs the queries; sums and output begin with nothing, or go on where the pass before left them.
template <class T, class Element>
WEFT_ALWAYS void start(const QueryTile<T>& query, ForwardMemory<Element>& at) {
  const ForwardCall<T>& call = query.call;
  const std::int64_t stride = call.shape.row_stride_qkv;
  const Rows<T> rows = rows_at(query.rows_of(call.q, stride, query.width), stride, query.positions);
  pack(at.packed, query.ldk / at.count, rows, query.width);
  transpose_to_columns(at.queries, at.packed, query.ldk / at.count, call.scale);
  for (int r = 0; r < tile; ++r) {
    at.state.maximum[r] = minus_infinity;
    at.state.sum[r] = 0;
  }
  if (call.pass == 0) {
    fill(at.o, query.ldv * tile, 0.0f);
    return;
  }
  pack(at.rows(), query.ldv, rows_at<float>(query.open, call.open_stride, query.positions), query.value_width);
  transpose_to_columns(at.o, at.rows(), query.ldv, 1.0f);
  for (int r = 0; r < rows.count; ++r) {
    at.state.maximum[r] = call.lse[query.statistics + query.positions[r]];
    at.state.sum[r] = call.sum[query.statistics + query.positions[r]];
  }
}

/// Takes in entry n of the part's list of key tiles.
template <class T, class Element>
WEFT_ALWAYS void take_in(const QueryTile<T>& query, const PartTables& part, int n, ForwardMemory<Element>& at) {
  const ForwardCall<T>& call = query.call;
  const Widening& widening = call.widening;
  const std::int64_t stride = call.shape.row_stride_kv;
  const TileEntry entry = part.key_tiles_entries[n];
  const int* positions = part.key_position + entry.tile * tile;
  const std::uint32_t live = live_keys(widening, query.b, positions);
  if (live == 0)
    return;
  TileMask own;
  const TileMask* mask = mask_of(part, entry, live, own);
  const Seen seen = mask ? Seen(mask->of_key, mask->of_query) : Seen();
  if (n + 1 < part.key_tiles_begin[query.t + 1]) {
    const int* next_positions = part.key_position + part.key_tiles_entries[n + 1].tile * tile;
    prefetch(query.k, stride, next_positions, query.width);
    prefetch(query.v, stride, next_positions, query.value_width);
  }
  // Packed rows hold elements: row_k of them a row of keys, row_v a row of values.
  const int row_k = query.ldk / at.count, row_v = query.ldv / at.count;
  pack(at.packed, row_k, rows_at(query.k, stride, positions, live), query.width);
  pair_products(at.s, at.packed, row_k, at.queries, elements_of<Element>(query.width), seen);
  if (widening.adds_scores())
    add_scores_by_key<Element>(at.s, widening, query.h, query.positions, positions, call.scale);
  softmax_step(at.s, at.probabilities(), call.scale, at.state, seen);
  if (widening.dropout.probability > 0) { // after the sums that normalise: out = sum of m p v / (1 - p)
    std::uint32_t keep[tile];
    dropout_bits(keep, KeepBits::by_key, widening, query.b, query.h, query.positions, positions,
                 mask ? mask->of_query : nullptr);
    drop(at.probabilities(), keep);
  }
  pack(at.values, row_v, rows_at(query.v, stride, positions, live), query.value_width);
  if (mask && has_non_finite(at.values, tile * row_v))
    spread_non_finite(at.values, row_v, at.o, query.value_width, mask->of_key);
  sum_over_pairs<Start::scale>(at.o, query.ldv, by_depth(at.value_pairs, at.values, query.ldv), query.ldv,
                               at.probabilities(), seen, at.state.factor);
}

/// Writes the output and lse, or after a pass that is not the last what the next one goes on with.
template <class T, class Element>
WEFT_ALWAYS void finish(const QueryTile<T>& query, ForwardMemory<Element>& at) {
  const ForwardCall<T>& call = query.call;
  SoftmaxState& state = at.state;
  const int *positions = query.positions, value_width = query.value_width, count = row_count(positions);
  if (query.last)
    for (int r = 0; r < tile; ++r) {
      state.maximum[r] = state.sum[r] == 0 ? minus_infinity : state.maximum[r] + __builtin_logf(state.sum[r]);
      state.factor[r] = state.sum[r] == 0 ? 0.0f : call.widening.kept / state.sum[r];
    }
  for (int r = 0; r < count; ++r) {
    call.lse[query.statistics + positions[r]] = state.maximum[r];
    if (!query.last)
      call.sum[query.statistics + positions[r]] = state.sum[r];
  }
  transpose_to_rows(at.rows(), query.ldv, at.o);
  for (int r = 0; r < count; ++r) {
    const float* from = at.rows() + r * query.ldv;
    if (query.last) {
      T* to = call.out + (query.row + positions[r]) * call.shape.row_stride_out + query.h * value_width;
      for (int e = 0; e < value_width; ++e)
        narrow_one(to + e, from[e] * state.factor[r]);
    } else {
      float* to = query.open + positions[r] * call.open_stride;
      for (int e = 0; e < value_width; ++e)
        to[e] = from[e];
    }
  }
}

/// Query tile t of head h of sequence b, through the key tiles of pass call.pass.
template <class T>
void forward_tile(const ForwardCall<T>& call, std::int64_t b, int h, int t) {
  const QueryTile<T> query(call, b, h, t);
  if (call.pass > 0 && query.parts == query.parts_end)
    return; // this head's pattern has fewer passes
  ForwardMemory<typename ElementOf<T>::type> at;
  start(query, at);
  for (const PartTables* part = query.parts; part != query.parts_end; ++part)
    for (int n = part->key_tiles_begin[t]; n < part->key_tiles_begin[t + 1]; ++n)
      take_in(query, *part, n, at);
  finish(query, at);
}

} // namespace weft::detail::WEFT_HOST
