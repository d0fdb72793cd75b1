// The forward pass of one query tile on a host core. Columns of all tiles are the 32 queries, so the softmax needs no
// sums across a vector: s[key, query], p[key, query], o[e, query].
#pragma once
#include "kernels/attention/host/widening.hpp"

namespace weft::detail::WEFT_HOST {

constexpr float minus_infinity = -__builtin_inff();

/// The running softmax of 32 queries. o holds the output times `sum`.
struct alignas(64) SoftmaxState {
  float maximum[tile], sum[tile], factor[tile];
};

/// s -> p; moves the running maximum and sum and leaves in `factor` what earlier sums must be multiplied by. Rows are
/// keys, columns queries; p is exactly 0 where a pair is not seen. In fp32 p overwrites s, which holds scaled scores.
///
/// As pairs, p is rounded to bf16 and s must still be multiplied by `scale`. The running sum takes p as it was before
/// it was rounded: so lse is a property of the scores alone, the same for every instruction set up to fp32, and the
/// backward pass, which makes p anew as exp(s - lse), gets probabilities that add up to 1.
template <class Element>
WEFT_APART inline void softmax_step(float* s, Element* p, float scale, SoftmaxState& state, const Seen& seen) {
  constexpr int vectors = half / lanes, count = depth_per_element<Element>;
  constexpr bool pairs = count == 2;
  for (int side = 0; side < 2; ++side) {
    const int c0 = side * half;
    const Range keys = whole_elements<Element>(seen.rows[side]);
    Lanes earlier[vectors], maximum[vectors], shift[vectors], sum[vectors];
    for (int v = 0; v < vectors; ++v)
      earlier[v] = maximum[v] = load_lanes(state.maximum + c0 + v * lanes);
    for (int j = keys.begin; j < keys.end; ++j)
      for (int v = 0; v < vectors; ++v) {
        float* at = s + j * tile + c0 + v * lanes;
        Lanes score = load_lanes(at);
        if (seen.words) {
          score = select(marks_of(seen.words[j] >> (c0 + v * lanes)), score, Lanes{} + minus_infinity);
          store_lanes(at, score);
        }
        if constexpr (pairs)
          score *= scale;
        maximum[v] = larger(score, maximum[v]);
      }
    for (int v = 0; v < vectors; ++v) {
      // Where nothing was seen yet the shift is 0, and every exp below gives 0.
      shift[v] = select(maximum[v] == minus_infinity, Lanes{}, maximum[v]);
      sum[v] = Lanes{};
    }
    for (int j = keys.begin; j < keys.end; j += count)
      for (int v = 0; v < vectors; ++v) {
        float* at = s + j * tile + c0 + v * lanes;
        if constexpr (pairs) {
          const Lanes first = softmax_exp(load_lanes(at) * scale - shift[v]);
          const Lanes second = softmax_exp(load_lanes(at + tile) * scale - shift[v]);
          store_lanes(p + j / 2 * tile + c0 + v * lanes, paired(rounded(first), rounded(second)));
          sum[v] += first;
          sum[v] += second;
        } else {
          const Lanes weight = softmax_exp(load_lanes(at) - shift[v]);
          store_lanes(at, weight);
          sum[v] += weight;
        }
      }
    for (int v = 0; v < vectors; ++v) {
      const int c = c0 + v * lanes;
      const Lanes factor = softmax_exp(earlier[v] - shift[v]);
      store_lanes(state.factor + c, factor);
      store_lanes(state.maximum + c, maximum[v]);
      store_lanes(state.sum + c, load_lanes(state.sum + c) * factor + sum[v]);
    }
  }
}

/// Takes NaN and infinity out of a packed value tile (a product with p = 0 would spread them to queries that do not see
/// the key) and gives them to the queries that do.
template <class Element>
inline void spread_non_finite(Element* v, int ldv, float* o, int width, const std::uint32_t* words) {
  for (int j = 0; j < tile; ++j)
    for (int e = 0; e < width; ++e) {
      const float x = packed_number(v, ldv, j, e);
      if (__builtin_isfinite(x))
        continue;
      for (int r = 0; r < tile; ++r)
        if (words[j] >> r & 1u)
          o[e * tile + r] += x;
      clear_number(v, ldv, j, e);
    }
}

template <class T>
void forward_tile(const ForwardCall<T>& call, std::int64_t b, int h, int t) {
  typedef typename ElementOf<T>::type Element;
  constexpr bool pairs = depth_per_element<Element> == 2;
  const AttentionShape& shape = call.shape;
  const int group = h % call.groups, width = static_cast<int>(shape.key_width);
  const int value_width = static_cast<int>(shape.value_width), ldk = padded(width), ldv = padded(value_width);
  const int* begin = call.pass_begin + group * (call.passes + 1);
  const int first_part = begin[call.pass], end_part = begin[call.pass + 1];
  if (call.pass > 0 && first_part == end_part)
    return; // this head's pattern has fewer passes
  const bool last = end_part == begin[call.passes];
  const PartTables* parts = call.parts + group * call.parts_per_group;

  int positions[tile]; // without a part no order is known, and any will do
  for (int r = 0; r < tile; ++r)
    positions[r] = t * tile + r < shape.length ? t * tile + r : -1;
  if (first_part < end_part)
    for (int r = 0; r < tile; ++r)
      positions[r] = parts[first_part].query_position[t * tile + r];

  // packed, queries and values hold elements; row_k and row_v of them are a row of packed keys and values.
  constexpr int capacity = max_width * tile, count = depth_per_element<Element>;
  const int row_k = ldk / count, row_v = ldv / count;
  alignas(64) Element packed[capacity / count], queries[capacity / count], values[capacity / count];
  alignas(64) Element value_pairs[pairs ? capacity / count : 1], weights[pairs ? tile * tile / count : 1];
  alignas(64) float o[capacity], s[tile * tile], own_rows[pairs ? capacity : 1];
  float* rows; // fp32
  Element* probabilities;
  if constexpr (pairs) {
    rows = own_rows;
    probabilities = weights;
  } else {
    rows = packed;
    probabilities = s;
  }
  SoftmaxState state;
  const std::int64_t row = b * shape.length, statistics = (b * shape.heads + h) * shape.length;
  const Rows<T> query_rows = rows_at(call.q + row * shape.row_stride_qkv + h * width, shape.row_stride_qkv, positions);
  pack(packed, row_k, query_rows, width);
  transpose_to_columns(queries, packed, row_k, call.scale);

  float* open = call.open + row * call.open_stride + h * value_width;
  for (int r = 0; r < tile; ++r) {
    state.maximum[r] = minus_infinity;
    state.sum[r] = 0;
  }
  if (call.pass == 0) {
    fill(o, ldv * tile, 0.0f);
  } else {
    const Rows<float> open_rows = rows_at<float>(open, call.open_stride, positions);
    pack(rows, ldv, open_rows, value_width);
    transpose_to_columns(o, rows, ldv, 1.0f);
    for (int r = 0; r < query_rows.count; ++r) {
      state.maximum[r] = call.lse[statistics + positions[r]];
      state.sum[r] = call.sum[statistics + positions[r]];
    }
  }

  const T* k = call.k + row * shape.row_stride_qkv + h * width;
  const T* v = call.v + row * shape.row_stride_qkv + h * value_width;
  const Widening& widening = call.widening;
  const bool dropped = widening.dropout.probability > 0;
  TileMask own;
  for (int p = first_part; p < end_part; ++p) {
    const PartTables& part = parts[p];
    for (int n = part.key_tiles_begin[t]; n < part.key_tiles_begin[t + 1]; ++n) {
      const TileEntry entry = part.key_tiles_entries[n];
      const int* key_positions = part.key_position + entry.tile * tile;
      const std::uint32_t live = live_keys(widening, b, key_positions);
      if (live == 0)
        continue;
      const TileMask* mask = mask_of(part, entry, live, own);
      const Seen seen = mask ? Seen(mask->of_key, mask->of_query) : Seen();
      if (n + 1 < part.key_tiles_begin[t + 1]) {
        const int* next_positions = part.key_position + part.key_tiles_entries[n + 1].tile * tile;
        prefetch(k, shape.row_stride_qkv, next_positions, width);
        prefetch(v, shape.row_stride_qkv, next_positions, value_width);
      }
      pack(packed, row_k, rows_at(k, shape.row_stride_qkv, key_positions, live), width);
      pair_products(s, packed, row_k, queries, elements_of<Element>(width), seen);
      softmax_step(s, probabilities, call.scale, state, seen);
      if (dropped) { // after the sums that normalise: out = sum of m p v / (1 - p)
        std::uint32_t keep[tile];
        dropout_bits(keep, KeepBits::by_key, widening, b, h, positions, key_positions, mask ? mask->of_query : nullptr);
        drop(probabilities, keep);
      }
      pack(values, row_v, rows_at(v, shape.row_stride_qkv, key_positions, live), value_width);
      if (mask && has_non_finite(values, tile * row_v))
        spread_non_finite(values, row_v, o, value_width, mask->of_key);
      sum_over_pairs<Start::scale>(o, ldv, by_depth(value_pairs, values, ldv), ldv, probabilities, seen, state.factor);
    }
  }

  if (last)
    for (int r = 0; r < tile; ++r) {
      state.maximum[r] = state.sum[r] == 0 ? minus_infinity : state.maximum[r] + __builtin_logf(state.sum[r]);
      state.factor[r] = state.sum[r] == 0 ? 0.0f : widening.kept / state.sum[r];
    }
  for (int r = 0; r < query_rows.count; ++r) {
    call.lse[statistics + positions[r]] = state.maximum[r];
    if (!last)
      call.sum[statistics + positions[r]] = state.sum[r];
  }
  transpose_to_rows(rows, ldv, o);
  for (int r = 0; r < query_rows.count; ++r) {
    const float* from = rows + r * ldv;
    if (last) {
      T* to = call.out + (row + positions[r]) * shape.row_stride_out + h * value_width;
      for (int e = 0; e < value_width; ++e)
        narrow_one(to + e, from[e] * state.factor[r]);
    } else {
      float* to = open + positions[r] * call.open_stride;
      for (int e = 0; e < value_width; ++e)
        to[e] = from[e];
    }
  }
}

} // namespace weft::detail::WEFT_HOST
