// Probabilities and the slopes of the scores in the backward pass on a host core: columns are the 32 keys.
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
                                const Seen& seen, bool /*unrounded*/)
      : p(s), ds(dp), ds_rows(dp) {
    probabilities_and_slopes(s, dp, lse, delta, scale, seen);
  }
};
/// As pairs, rounded to bf16: p and ds with the pairs across queries, ds once more with the pairs across keys. s must
/// still be multiplied by `scale`. `unrounded`: dp becomes ds as it was before it was rounded.
template <>
struct PairProbabilities<Pair> {
  alignas(64) Pair p[tile * tile / 2], ds[tile * tile / 2]; ///< [query / 2, key]
  alignas(64) Pair ds_rows[tile * tile / 2];                ///< [query, key / 2]

  inline PairProbabilities(const float* s, float* dp, const float* lse, const float* delta, float scale,
                           const Seen& seen, bool unrounded) {
    for (int side = 0; side < 2; ++side) {
      const Range queries = elements_of<Pair>(seen.rows[side]);
      for (int k = 0; k < tile / 2; ++k)
        for (int c = side * half; c < (side + 1) * half; c += lanes) {
          Bits weight[2] = {}, slope[2] = {};
          Lanes exact[2] = {};
          if (k >= queries.begin && k < queries.end)
            for (int n = 0; n < 2; ++n) {
              const int i = 2 * k + n;
              const Lanes w = softmax_exp(load_lanes(s + i * tile + c) * scale - lse[i]);
              const Lanes x = w * (load_lanes(dp + i * tile + c) - delta[i]) * scale;
              weight[n] = rounded(w);
              slope[n] = rounded(x);
              exact[n] = x;
              if (seen.words) {
                const Bits marks = reinterpret_cast<Bits>(marks_of(seen.words[i] >> c));
                weight[n] &= marks;
                slope[n] &= marks;
                exact[n] = from_bits(bits_of(x) & reinterpret_cast<Marks>(marks));
              }
            }
          for (int n = 0; n < 2 && unrounded; ++n)
            store_lanes(dp + (2 * k + n) * tile + c, exact[n]);
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

} // namespace weft::detail::WEFT_HOST
