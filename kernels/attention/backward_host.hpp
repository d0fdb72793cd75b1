// The backward pass of one key tile against a range of query tiles on a host core: five products per tile. Columns are
// the 32 keys: s[query, key], ds[query, key], dv[e, key], dk[e, key]; only dq is summed in rows, in memory.
#pragma once
#include "kernels/attention/tile_host.hpp"

namespace weft::detail::host {

/// s -> p and dp -> ds, both exactly 0 where no pair is seen. words (bit j of word i: query i sees key j) null: all.
inline void probabilities_and_slopes(float* s, float* dp, const float* lse, const float* delta, float scale,
                                     const std::uint32_t* words) {
  for (int i = 0; i < tile; ++i) {
    float *p = s + i * tile, *ds = dp + i * tile;
    const float shift = lse[i], mean = delta[i];
    for (int j = 0; j < tile; ++j)
      p[j] = softmax_exp(p[j] - shift);
    if (words) {
      const std::uint32_t bits = words[i];
      for (int j = 0; j < tile; ++j)
        p[j] = (bits >> j & 1u) ? p[j] : 0.0f;
      for (int j = 0; j < tile; ++j)
        ds[j] = (bits >> j & 1u) ? p[j] * (ds[j] - mean) * scale : 0.0f;
    } else {
      for (int j = 0; j < tile; ++j)
        ds[j] = p[j] * (ds[j] - mean) * scale;
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
    const std::uint32_t* words = entry.mask == full_tile ? nullptr : part.masks[entry.mask].of_query;
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
    pair_products(s, queries, ldk, key_columns, width, words);
    pair_products(ds, slopes, ldv, value_columns, value_width, words);
    probabilities_and_slopes(s, ds, lse, delta, call.scale, words);
    sum_over_pairs<Start::add>(dv, ldv, slopes, ldv, s, words);
    sum_over_pairs<Start::add>(dk, ldk, queries, ldk, ds, words);
    multiply<Start::zero, Left::by_row>(queries, ldk, tile, ldk, ds, tile, keys, ldk, 0, tile);
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
