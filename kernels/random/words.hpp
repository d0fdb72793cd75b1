// Many Philox numbers at once: the same numbers as random4, four counters to a vector where the host has AVX2.
#pragma once
#include "kernels/random/philox.hpp"
#if defined(__AVX2__) && !defined(__CUDACC__)
#define WEFT_PHILOX_AVX2
#include <immintrin.h>
#endif

namespace weft {

constexpr int words_group = 8; ///< blocks of four that random_words makes together

#ifdef WEFT_PHILOX_AVX2
namespace detail {
// A 32-bit number in each 64-bit lane; a product ignores whatever the upper half holds.
typedef std::uint64_t Wide __attribute__((vector_size(32)));
constexpr int words_vectors = words_group / 4;

/// The 4 words_group numbers of the blocks that `block` holds, four to a vector.
inline void random_group(std::uint32_t* words, const RandomKey& key, const Wide* block) {
  const Wide factor0 = Wide{} + 0xD2511F53u, factor1 = Wide{} + 0xCD9E8D57u, low = Wide{} + 0xffffffffu;
  const auto product = [](Wide a, Wide b) {
    return reinterpret_cast<Wide>(_mm256_mul_epu32(reinterpret_cast<__m256i>(a), reinterpret_cast<__m256i>(b)));
  };
  Wide x[words_vectors][4];
  for (int g = 0; g < words_vectors; ++g) {
    x[g][0] = block[g];
    x[g][1] = Wide{} + key.sample;
    x[g][2] = Wide{} + key.step;
    x[g][3] = Wide{} + key.tensor;
  }
  std::uint32_t key0 = static_cast<std::uint32_t>(key.seed), key1 = static_cast<std::uint32_t>(key.seed >> 32);
  for (int round = 0; round < 10; ++round) {
    for (int g = 0; g < words_vectors; ++g) {
      const Wide a = product(x[g][0], factor0), b = product(x[g][2], factor1);
      x[g][0] = (b >> 32) ^ (x[g][1] ^ (Wide{} + key0));
      x[g][2] = (a >> 32) ^ (x[g][3] ^ (Wide{} + key1));
      x[g][1] = b;
      x[g][3] = a;
    }
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  for (int g = 0; g < words_vectors; ++g) {
    const Wide front = (x[g][0] & low) | (x[g][1] << 32), back = (x[g][2] & low) | (x[g][3] << 32);
    const Wide even = __builtin_shuffle(front, back, Wide{0, 4, 1, 5}),
               odd = __builtin_shuffle(front, back, Wide{2, 6, 3, 7});
    memcpy(words + 16 * g, &even, sizeof even);
    memcpy(words + 16 * g + 8, &odd, sizeof odd);
  }
}
} // namespace detail
#endif

/// words[4 (block - first) + v] = random4(key, block).x[v] for `blocks` blocks from `first` on, rounded up to whole
/// groups: there must be room for them.
WEFT_FUNCTION void random_words(std::uint32_t* words, const RandomKey& key, std::uint32_t first, int blocks) {
#ifdef WEFT_PHILOX_AVX2
  for (int base = 0; base < blocks; base += words_group) {
    detail::Wide block[detail::words_vectors];
    for (int g = 0; g < detail::words_vectors; ++g)
      block[g] = detail::Wide{0, 1, 2, 3} + (first + static_cast<std::uint32_t>(base + 4 * g));
    detail::random_group(words + 4 * base, key, block);
  }
#else
  for (int block = 0; block < blocks; ++block) {
    const Philox4 r = random4(key, first + static_cast<std::uint32_t>(block));
    for (int v = 0; v < 4; ++v)
      words[4 * block + v] = r.x[v];
  }
#endif
}

/// words[4 n + v] = random4(key, first + offsets[n]).x[v] for n in [0, blocks), rounded up to whole groups: offsets and
/// words must have room for them.
WEFT_FUNCTION void random_words(std::uint32_t* words, const RandomKey& key, std::uint32_t first,
                                const std::uint32_t* offsets, int blocks) {
#ifdef WEFT_PHILOX_AVX2
  for (int base = 0; base < blocks; base += words_group) {
    detail::Wide block[detail::words_vectors];
    for (int g = 0; g < detail::words_vectors; ++g) {
      const std::uint32_t* at = offsets + base + 4 * g;
      block[g] = detail::Wide{at[0], at[1], at[2], at[3]} + first;
    }
    detail::random_group(words + 4 * base, key, block);
  }
#else
  for (int n = 0; n < blocks; ++n) {
    const Philox4 r = random4(key, first + offsets[n]);
    for (int v = 0; v < 4; ++v)
      words[4 * n + v] = r.x[v];
  }
#endif
}

} // namespace weft
