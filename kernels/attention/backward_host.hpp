// The backward pass of one key tile against a range of query tiles on a host core: five products per tile. Columns are
// the 32 keys: s[query, key], ds[query, key], dv[e, key], dk[e, key]; only dq is summed in rows, in memory.
#pragma once
#include "kernels/attention/tile_host.hpp"

namespace weft::detail::host {

/// s -> p and dp -> ds, both exactly 0 where a pair is not seen. Rows are queries, columns keys.
inline void probabilities_and_slopes(float* s, float* dp, const float* lse, const float* delta, float scale,
                                     const Seen& seen) {
  for (int side = 0; side < 2; ++side)
    for (int i = 0; i < tile; ++i) {
      float *p = s + i * tile + side * half, *ds = dp + i * tile + side * half;
      if (i < seen.rows[side].begin || i >= seen.rows[side].end) {
        std::fill_n(ds, half, 0.0f); // dq reads it; nobody reads p here
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

/// rows[r][e] += from[r * ld + e].
inline void add_to_rows(float* base, std::int64_t stride, const int* positions, int count, const float* from, int ld,
                        int width) {
  for (int r = 0; r < count; ++r) {
    float* to = base + positions[r] * stride;
    for (int e = 0; e < width; ++e)
      to[e] += from[r * ld + e];
  }
}

/// Key tile kt of part call.part of head h against its query tiles in [first_query, end_query).
template <class T>
void backward_tile(const BackwardCall<T>& call, const PartTables& part, std::int64_t b, int h, int kt, int first_query,
                   int end_query) {
  const TileEntry* entries = part.query_tiles_entries;
  const auto earlier = [](const TileEntry& e, int tile_number) { return e.tile < tile_number; };
  const int list = part.query_tiles_begin[kt], list_end = part.query_tiles_begin[kt + 1];
  const auto n0 = std::lower_bound(entries + list, entries + list_end, first_query, earlier) - entries;
  const auto n1 = std::lower_bound(entries + n0, entries + list_end, end_query, earlier) - entries;
  if (n0 == n1)
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

  alignas(64) float keys[max_width * tile], key_columns[max_width * tile], value_columns[max_width * tile];
  alignas(64) float queries[max_width * tile], slopes[max_width * tile];
  alignas(64) float dk[max_width * tile], dv[max_width * tile], s[tile * tile], ds[tile * tile];
  const int* key_positions = part.key_position + kt * tile;
  const Rows<T> key_rows = rows_at(k, shape.row_stride_qkv, key_positions);
  pack(queries, ldv, rows_at(v, shape.row_stride_qkv, key_positions), value_width);
  transpose_to_columns(value_columns, queries, ldv, 1.0f);
  pack(keys, ldk, key_rows, width);
  transpose_to_columns(key_columns, keys, ldk, call.scale);
  std::fill_n(dk, ldk * tile, 0.0f);
  std::fill_n(dv, ldv * tile, 0.0f);

  for (auto n = n0; n < n1; ++n) {
    const TileEntry entry = entries[n];
    const TileMask* mask = entry.mask == full_tile ? nullptr : part.masks + entry.mask;
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
    pack(queries, ldk, query_rows, width);
    pack(slopes, ldv, rows_at(dout, shape.row_stride_out, positions), value_width);
    pair_products(s, queries, ldk, key_columns, width, seen);
    pair_products(ds, slopes, ldv, value_columns, value_width, seen);
    probabilities_and_slopes(s, ds, lse, delta, call.scale, seen);
    sum_over_pairs<Start::add>(dv, ldv, slopes, ldv, s, seen);
    sum_over_pairs<Start::add>(dk, ldk, queries, ldk, ds, seen);
    rows_times(queries, ldk, ds, keys, seen);
    add_to_rows(dq, call.dq_stride, positions, query_rows.count, queries, ldk, width);
  }

  transpose_to_rows(queries, ldk, dk);
  add_to_rows(call.dk + row * call.dk_stride + h * width, call.dk_stride, key_positions, key_rows.count, queries, ldk,
              width);
  transpose_to_rows(queries, ldv, dv);
  add_to_rows(call.dv + row * call.dv_stride + h * value_width, call.dv_stride, key_positions, key_rows.count, queries,
              ldv, value_width);
}

} // namespace weft::detail::host
