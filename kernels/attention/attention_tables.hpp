// What the kernels see of a plan and of one call. Included by kernels/attention/*.cpp only.
#pragma once
#include "kernels/attention/tiles.hpp"
#include "kernels/common/types.hpp"
#include "kernels/random/dropout.hpp"

namespace weft::detail {

/// One part; all pointers lead to where the kernels run.
struct PartTables {
  const int* query_position;            ///< [32 * query tiles], -1 past the last
  const int* key_position;              ///< [32 * key tiles], -1 past the last
  const int* key_tiles_begin;           ///< [query tiles + 1]
  const TileEntry* key_tiles_entries;   ///< key tiles of every query tile
  const int* query_tiles_begin;         ///< [key tiles + 1]
  const TileEntry* query_tiles_entries; ///< query tiles of every key tile
  const TileMask* masks;
  int key_tiles;
};

/// What a call adds to its pattern: AttentionExtras (attention.hpp), ready for the kernels.
struct Widening {
  const std::uint32_t* seen; ///< [B][seen_words]; null: every key is real
  std::int64_t seen_words;
  Dropout dropout;
  std::uint64_t dropout_stride;
  float kept;                   ///< 1 / (1 - p), 1 without dropout
  const float* table = nullptr; ///< [H][table_stride][table_stride] scores to add; null: none
  std::int64_t table_stride = 0;
  const float* distances = nullptr; ///< [2 reach - 1] scores to add by the distance of key and query; null: none
  int reach = 0;

  WEFT_FUNCTION bool adds_scores() const { return table || distances; }
};

/// Row i of head h of a table of scores or of its gradient.
template <class Number>
WEFT_FUNCTION Number* table_row(Number* table, std::int64_t stride, int h, int i) {
  return table + (h * stride + i) * stride;
}

/// The place of the distance j - i in Widening::distances; negative where it is further than they reach.
WEFT_FUNCTION int distance_place(int reach, int i, int j) {
  const int place = reach - 1 + j - i;
  return place < 2 * reach - 1 ? place : -1;
}

/// What is added to the score of query i and key j of head h.
WEFT_FUNCTION float added_score(const Widening& widening, int h, int i, int j) {
  if (widening.table)
    return table_row(widening.table, widening.table_stride, h, i)[j];
  const int place = distance_place(widening.reach, i, j);
  return place < 0 ? 0.0f : widening.distances[place];
}

/// The number of weight (i, j) of head h among the elements that dropout draws for.
WEFT_FUNCTION std::uint64_t dropout_element(const Widening& widening, int h, int i, int j) {
  const std::uint64_t row = static_cast<std::uint64_t>(h) * widening.dropout_stride + static_cast<std::uint64_t>(i);
  return row * widening.dropout_stride + static_cast<std::uint64_t>(j);
}

/// What a call of either direction says of its pattern and shape; key_length and row_stride_kv are not 0 here.
struct PatternCall {
  const PartTables* parts;
  const int* pass_begin;
  int groups, passes, parts_per_group, query_tiles;
  AttentionShape shape;
  float scale;
  Widening widening;
};

/// One call, by value into the kernels. Accumulators are fp32: the result itself for T = float, the workspace else.
template <class T>
struct ForwardCall : PatternCall {
  int pass;
  T* out;
  float* lse;  ///< the running maximum between passes
  float* sum;  ///< [B,H,N], the running sum between passes
  float* open; ///< [B,N,H,Ev] at open_stride, the output times the running sum, between passes
  std::int64_t open_stride;
  const T *q, *k, *v;
};

template <class T>
struct BackwardCall : PatternCall {
  int part;
  float *dq, *dk, *dv; ///< fp32 accumulators
  std::int64_t dq_stride, dk_stride, dv_stride;
  const T *dout, *q, *k, *v;
  const float *lse, *delta; ///< [B,H,N]
  float* dtable;            ///< like Widening::table; null: not wanted
  float* ddistances;        ///< like Widening::distances, [parts] of them; null: not wanted
};

} // namespace weft::detail
