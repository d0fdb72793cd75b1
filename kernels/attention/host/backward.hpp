// The backward pass of one key tile against a range of query tiles on a host core: five products per tile. Columns are
// the 32 keys: s[query, key], ds[query, key], dv[e, key], dk[e, key]; only dq is summed in rows, in memory.
#pragma once
#include "kernels/attention/host/widening.hpp"

namespace weft::detail::WEFT_HOST {

/// s -> p and dp -> ds, both exactly 0 where a pair is not seen. Rows are queries, columns keys.
inline void probabilities_and_slopes(float* s, float* dp, const float* lse, const float* delta, float scale,
                                     const Seen& seen) {
  for (int side = 0; side < 2; ++side)
    for (int i = 0; i < tile; ++i) {
      float *p = s + i * tile + side * half, *ds = dp + i * tile + side * half;
      if (i < seen.rows[side].begin || i >= seen.rows[side].end) {
        fill(ds, half, 0.0f); // dq reads it; nobody reads p here
        continue;
      }
      for (int v = 0; v < half; v += lanes) {
        Lanes weight = softmax_exp(load_lanes(p + v) - lse[i]);
        Lanes slope = weight * (load_lanes(ds + v) - delta[i]) * scale;
        if (seen.words) {
          const Marks marks = marks_of(seen.words[i] >> (side * half + v));
          weight = from_bits(bits_of(weight) & marks);
          slope = from_bits(bits_of(slope) & marks);
        }
        store_lanes(p + v, weight);
        store_lanes(ds + v, slope);
      }
    }
}

/// What the products of p and ds take: as fp32 they are s and ds themselves.
template <class Element>
struct PairProbabilities;
template <>
struct PairProbabilities<float> {
  float* p;
  const float *ds, *ds_rows;
  /// s and ds are overwritten.
  WEFT_ALWAYS PairProbabilities(float* s, float* dp, const float* lse, const float* delta, float scale,
                                const Seen& seen)
      : p(s), ds(dp), ds_rows(dp) {
    probabilities_and_slopes(s, dp, lse, delta, scale, seen);
  }
};
/// As pairs, rounded to bf16: p and ds with the pairs across queries, ds once more with the pairs across keys. s must
/// still be multiplied by `scale`.
template <>
struct PairProbabilities<Pair> {
  alignas(64) Pair p[tile * tile / 2], ds[tile * tile / 2]; ///< [query / 2, key]
  alignas(64) Pair ds_rows[tile * tile / 2];                ///< [query, key / 2]

  inline PairProbabilities(const float* s, const float* dp, const float* lse, const float* delta, float scale,
                           const Seen& seen) {
    for (int side = 0; side < 2; ++side) {
      const Range queries = elements_of<Pair>(seen.rows[side]);
      for (int k = 0; k < tile / 2; ++k)
        for (int c = side * half; c < (side + 1) * half; c += lanes) {
          Bits weight[2] = {}, slope[2] = {};
          if (k >= queries.begin && k < queries.end)
            for (int n = 0; n < 2; ++n) {
              const int i = 2 * k + n;
              const Lanes w = softmax_exp(load_lanes(s + i * tile + c) * scale - lse[i]);
              const Lanes x = w * (load_lanes(dp + i * tile + c) - delta[i]) * scale;
              weight[n] = rounded(w);
              slope[n] = rounded(x);
              if (seen.words) {
                const Bits marks = reinterpret_cast<Bits>(marks_of(seen.words[i] >> c));
                weight[n] &= marks;
                slope[n] &= marks;
              }
            }
          store_lanes(p + k * tile + c, paired(weight[0], weight[1]));
          store_lanes(ds + k * tile + c, paired(slope[0], slope[1]));
          for (int n = 0; n < 2; ++n) {
            const Halves row = __builtin_convertvector(slope[n] >> 16, Halves);
            __builtin_memcpy(ds_rows + (2 * k + n) * (tile / 2) + c / 2, &row, sizeof row);
          }
        }
    }
  }
};

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

/// Key tile kt of part call.part of head h against its query tiles in [first_query, end_query).
template <class T>
void backward_tile(const BackwardCall<T>& call, const PartTables& part, std::int64_t b, int h, int kt, int first_query,
                   int end_query) {
  typedef typename ElementOf<T>::type Element;
  constexpr bool pairs = depth_per_element<Element> == 2;
  const TileEntry* entries = part.query_tiles_entries;
  const int list = part.query_tiles_begin[kt], list_end = part.query_tiles_begin[kt + 1];
  const int n0 = first_from(entries, list, list_end, first_query), n1 = first_from(entries, n0, list_end, end_query);
  if (n0 == n1)
    return;
  const int* key_positions = part.key_position + kt * tile;
  const Widening& widening = call.widening;
  const bool dropped = widening.dropout.probability > 0;
  const std::uint32_t live = live_keys(widening, b, key_positions);
  if (live == 0)
    return;

  const AttentionShape& shape = call.shape;
  const int width = static_cast<int>(shape.key_width), value_width = static_cast<int>(shape.value_width);
  const int ldk = padded(width), ldv = padded(value_width);
  const std::int64_t row = b * shape.length, statistics = (b * shape.heads + h) * shape.length;
  const T* q = call.q + row * shape.row_stride_qkv + h * width;
  const T* k = call.k + row * shape.row_stride_qkv + h * width;
  const T* v = call.v + row * shape.row_stride_qkv + h * value_width;
  const T* dout = call.dout + row * shape.row_stride_out + h * value_width;
  float* dq = call.dq + row * call.dq_stride + h * width;

  // keys, columns, queries and slopes hold elements; row_k and row_v of them are a packed row.
  constexpr int capacity = max_width * tile, count = depth_per_element<Element>, spare = pairs ? capacity / count : 1;
  const int row_k = ldk / count, row_v = ldv / count;
  alignas(64) Element keys[capacity / count], key_columns[capacity / count], value_columns[capacity / count];
  alignas(64) Element queries[capacity / count], slopes[capacity / count];
  alignas(64) Element key_pairs[spare], query_pairs[spare], slope_pairs[spare];
  alignas(64) float dk[capacity], dv[capacity], s[tile * tile], ds[tile * tile], own_rows[pairs ? capacity : 1];
  float* rows; // fp32
  if constexpr (pairs)
    rows = own_rows;
  else
    rows = queries;
  const Rows<T> key_rows = rows_at(k, shape.row_stride_qkv, key_positions, live);
  pack(queries, row_v, rows_at(v, shape.row_stride_qkv, key_positions, live), value_width);
  transpose_to_columns(value_columns, queries, row_v, 1.0f);
  pack(keys, row_k, key_rows, width);
  transpose_to_columns(key_columns, keys, row_k, call.scale);
  const Element* keys_by_depth = by_depth(key_pairs, keys, ldk);
  fill(dk, ldk * tile, 0.0f);
  fill(dv, ldv * tile, 0.0f);

  TileMask own;
  std::uint32_t keep[tile];
  for (int n = n0; n < n1; ++n) {
    const TileEntry entry = entries[n];
    const TileMask* mask = mask_of(part, entry, live, own);
    const Seen seen = mask ? Seen(mask->of_query, mask->of_key) : Seen();
    const int* positions = part.query_position + entry.tile * tile;
    const Rows<T> query_rows = rows_at(q, shape.row_stride_qkv, positions);
    float lse[tile] = {}, delta[tile] = {};
    for (int r = 0; r < query_rows.count; ++r) {
      lse[r] = call.lse[statistics + positions[r]];
      delta[r] = call.delta[statistics + positions[r]];
    }
    if (n + 1 < n1) {
      const int* next_positions = part.query_position + entries[n + 1].tile * tile;
      prefetch(q, shape.row_stride_qkv, next_positions, width);
      prefetch(dout, shape.row_stride_out, next_positions, value_width);
    }
    pack(queries, row_k, query_rows, width);
    pack(slopes, row_v, rows_at(dout, shape.row_stride_out, positions), value_width);
    pair_products(s, queries, row_k, key_columns, elements_of<Element>(width), seen);
    pair_products(ds, slopes, row_v, value_columns, elements_of<Element>(value_width), seen);
    if (dropped) {
      dropout_bits(keep, KeepBits::by_query, widening, b, h, positions, key_positions, mask ? mask->of_query : nullptr);
      drop(ds, keep, widening.kept);
    }
    PairProbabilities<Element> pair(s, ds, lse, delta, call.scale, seen);
    if (dropped)
      drop(pair.p, keep); // dv is scaled once, below
    sum_over_pairs<Start::add>(dv, ldv, by_depth(slope_pairs, slopes, ldv), ldv, pair.p, seen);
    sum_over_pairs<Start::add>(dk, ldk, by_depth(query_pairs, queries, ldk), ldk, pair.ds, seen);
    rows_times(rows, ldk, pair.ds_rows, keys_by_depth, seen);
    add_to_rows(dq, call.dq_stride, positions, query_rows.count, rows, ldk, width);
  }

  transpose_to_rows(rows, ldk, dk);
  add_to_rows(call.dk + row * call.dk_stride + h * width, call.dk_stride, key_positions, key_rows.count, rows, ldk,
              width, live);
  if (dropped)
    scale(dv, ldv * tile, widening.kept);
  transpose_to_rows(rows, ldv, dv);
  add_to_rows(call.dv + row * call.dv_stride + h * value_width, call.dv_stride, key_positions, key_rows.count, rows,
              ldv, value_width, live);
}

} // namespace weft::detail::WEFT_HOST
