// Plain data that the attention kernels share with those who build patterns. No code and no headers with code: this is
// compiled for several instruction sets (host_avx512.cpp), whose functions must not meet.
#pragma once
#include <cstdint>

namespace weft {

constexpr int query_tile = 32; ///< query slots in a tile
constexpr int key_tile = 32;   ///< key slots in a tile

/// One tile in a list: the number of the tile, and its mask; mask full_tile: 32 x 32 pairs, all allowed.
struct TileEntry {
  int tile;
  int mask;
};
constexpr int full_tile = -1;

/// The allowed pairs of one partial tile, by query and by key.
struct TileMask {
  std::uint32_t of_query[query_tile]; ///< bit s: the query sees key slot s
  std::uint32_t of_key[key_tile];     ///< bit s: query slot s sees the key
};

/// q[b,i,h,e] lies at q[(b N + i) row_stride_qkv + h E + e]; k, dq, dk alike; v, dv alike with Ev for E: all six have
/// the same row stride, so that they can be slices of one fused row; or the keys and values are rows of their own, M to
/// a sequence: k[b,j,h,e] at k[(b M + j) row_stride_kv + h E + e]. out and dout: [(b N + i) row_stride_out + h Ev +
/// e].
struct AttentionShape {
  std::int64_t batch;       ///< B
  std::int64_t length;      ///< N, that of the plan
  std::int64_t heads;       ///< H, that of the plan
  std::int64_t key_width;   ///< E of q and k, 1 .. attention_width_limit; with a table of scores 0, too
  std::int64_t value_width; ///< Ev of v and out, 1 .. attention_width_limit
  std::int64_t row_stride_qkv;
  std::int64_t row_stride_out;
  std::int64_t key_length = 0;    ///< M, rows of k, v, dk and dv; 0: N
  std::int64_t row_stride_kv = 0; ///< of k, v, dk and dv; 0: row_stride_qkv
};

constexpr int attention_width_limit = 256;

} // namespace weft
