// The running softmax of the forward pass on a host core. Columns of all tiles are the 32 queries, so it needs no sums
// across a vector: s[key, query], p[key, query], o[e, query].
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

} // namespace weft::detail::WEFT_HOST
