// Philox 4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011, section 3):
// randomness as a function of what it is for. Nothing is stored, so nothing has to be restored.
#pragma once
#include "kernels/common/types.hpp"

namespace weft {

struct Philox4 {
  std::uint32_t x[4];
};

WEFT_FUNCTION Philox4 philox(Philox4 counter, std::uint32_t key0, std::uint32_t key1) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = static_cast<std::uint64_t>(0xD2511F53u) * counter.x[0];
    const std::uint64_t b = static_cast<std::uint64_t>(0xCD9E8D57u) * counter.x[2];
    counter = {{static_cast<std::uint32_t>(b >> 32) ^ counter.x[1] ^ key0, static_cast<std::uint32_t>(b),
                static_cast<std::uint32_t>(a >> 32) ^ counter.x[3] ^ key1, static_cast<std::uint32_t>(a)}};
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return counter;
}

/// What a random number is for. Two uses must differ in at least one member.
struct RandomKey {
  std::uint64_t seed;
  std::uint32_t step;   ///< optimiser step, or epoch
  std::uint32_t sample; ///< index of the sequence in the global batch
  std::uint32_t tensor; ///< which tensor, or which purpose
};

/// The four 32-bit numbers for elements 4*block .. 4*block+3 of a tensor.
WEFT_FUNCTION Philox4 random4(const RandomKey& key, std::uint32_t block) {
  return philox({{block, key.sample, key.step, key.tensor}}, static_cast<std::uint32_t>(key.seed),
                static_cast<std::uint32_t>(key.seed >> 32));
}

} // namespace weft
