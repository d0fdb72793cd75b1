// Key bits and attention dropout in the tile functions of a host core (attention.hpp, AttentionExtras).
#pragma once
#include "kernels/attention/host/dropout.hpp"
#include "kernels/attention/host/pack.hpp"

namespace weft::detail::WEFT_HOST {

/// Bit s: key slot s of the tile is a real key of sequence b. All 32 bits in a call without key bits.
WEFT_ALWAYS std::uint32_t live_keys(const Widening& widening, std::int64_t b, const int* positions) {
  if (!widening.seen)
    return ~0u;
  const std::uint32_t* words = widening.seen + b * widening.seen_words;
  std::uint32_t live = 0;
  for (int s = 0; s < tile; ++s)
    if (positions[s] >= 0)
      live |= (words[positions[s] / 32] >> (positions[s] % 32) & 1u) << s;
  return live;
}

/// The mask of a tile without the keys that are not live; null if all pairs are seen. Where no key is taken away it is
/// that of the tables, otherwise it is made in `own`.
inline const TileMask* mask_of(const PartTables& part, TileEntry entry, std::uint32_t live, TileMask& own) {
  const TileMask* mask = entry.mask == full_tile ? nullptr : part.masks + entry.mask;
  if (live == ~0u)
    return mask;
  for (int s = 0; s < tile; ++s) {
    own.of_query[s] = (mask ? mask->of_query[s] : ~0u) & live;
    own.of_key[s] = live >> s & 1u ? (mask ? mask->of_key[s] : ~0u) : 0u;
  }
  return &own;
}

/// x[r, c] = factor x[r, c] where bit c of keep[r] is set, and 0 elsewhere, NaN and infinity too.
inline void drop(float* x, const std::uint32_t* keep, float factor) {
  for (int r = 0; r < tile; ++r)
    for (int c = 0; c < tile; c += lanes) {
      const Lanes scaled = load_lanes(x + r * tile + c) * factor;
      store_lanes(x + r * tile + c, from_bits(bits_of(scaled) & marks_of(keep[r] >> c)));
    }
}

/// The same for pairs of rows 2 k and 2 k + 1, without a factor.
inline void drop(Pair* x, const std::uint32_t* keep) {
  for (int k = 0; k < tile / 2; ++k)
    for (int c = 0; c < tile; c += lanes) {
      const Bits first = reinterpret_cast<Bits>(marks_of(keep[2 * k] >> c)) & 0xffffu;
      const Bits second = reinterpret_cast<Bits>(marks_of(keep[2 * k + 1] >> c)) & 0xffff0000u;
      store_lanes(x + k * tile + c, load_lanes(x + k * tile + c) & (first | second));
    }
}
inline void drop(float* x, const std::uint32_t* keep) { drop(x, keep, 1.0f); }

inline void scale(float* x, int n, float factor) {
  for (int i = 0; i < n; ++i)
    x[i] *= factor;
}

} // namespace weft::detail::WEFT_HOST
