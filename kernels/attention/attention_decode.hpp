// Attention of one new position over a cache of the keys and values before it: the forward pass of attention.hpp for a
// single query i per sample b and head h, over the list S_h of the keys that its pattern sees,
//   out_b,h = sum_{j in S_h} p_j v_j,   p_j = exp(q . k_j / sqrt(E)) / sum_{j in S_h} exp(q . k_j / sqrt(E)),
// or with a factor of its own in the place of 1 / sqrt(E).
// The cost is that of the keys in the list, not of i or N. Sums are fp32: the list is cut into pieces of 256 keys, each
// summed by itself in the list's order, and the pieces are joined in order (Milakov and Gimelshein 2018,
// arXiv:1805.02867): the bits depend neither on the number of threads nor on the samples beside this one.
#pragma once
#include "kernels/attention/attention.hpp"
#include "kernels/common/lanes.hpp"

namespace weft {

/// Rows q | k | v of the new position lie at row b * row_stride; head h of q at h E, of k at H E + h E, of v at
/// 2 H E + h Ev. The caches are (samples, H, capacity, E rounded up to lanes) and the same with Ev, their padding zero.
struct DecodeShape {
  std::int64_t samples, heads;
  std::int64_t key_width, value_width; ///< E, Ev: 1 .. attention_width_limit
  std::int64_t capacity;               ///< positions that fit into the cache
  std::int64_t row_stride;             ///< of qkv
  float scale = 0;                     ///< of q . k; 0: 1 / sqrt(E)

  std::int64_t key_row() const { return padded_to_lanes(key_width); }
  std::int64_t value_row() const { return padded_to_lanes(value_width); }
};

/// The keys of the new query as rows of the cache, where the kernels run: head h sees keys[begin[n]] ..
/// keys[begin[n + 1] - 1], n = list_of_head[h], and the new position's own row is newest[n], which may be among them.
/// In which row a position lies is the caller's choice, per list. A head without keys gives zeros.
struct DecodeKeys {
  const int *keys, *begin, *newest, *list_of_head;
  std::int64_t longest; ///< keys in the longest list
};

/// Floats of workspace for lists of up to `longest` keys.
std::int64_t attention_decode_workspace(const DecodeShape& shape, std::int64_t longest);

/// Overwrites out[samples, H Ev]; k and v of qkv are written to row newest[n] of the caches, nothing else there
/// changes. T: float, bf16, fp16.
template <class T>
void attention_decode(const DecodeShape& shape, T* out, const T* qkv, T* key_cache, T* value_cache,
                      const DecodeKeys& keys, float* workspace);

} // namespace weft
