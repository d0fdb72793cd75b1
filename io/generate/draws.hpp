// Random numbers of one example: a function of (seed, split, index) and of nothing that was drawn before.
#pragma once
#include "kernels/random/philox.hpp"
#include <cstdint>

namespace weft {

/// Numbers one after the other from Philox 4x32-10 with the key (seed, split, index, purpose).
class Draws {
 public:
  Draws(std::uint64_t seed, std::uint32_t split, std::uint32_t index, std::uint32_t purpose)
      : key_{seed, split, index, purpose} {}

  /// 32 even bits.
  std::uint32_t word() {
    if (at_ % 4 == 0)
      block_ = random4(key_, at_ / 4);
    return block_.x[at_++ % 4];
  }
  /// 0 .. n-1, all alike: the high half of a product, drawn again where it would favour a number. n is at least 1.
  std::uint32_t below(std::uint32_t n) {
    for (;;) {
      const std::uint64_t product = static_cast<std::uint64_t>(word()) * n;
      if (static_cast<std::uint32_t>(product) >= (0u - n) % n)
        return static_cast<std::uint32_t>(product >> 32);
    }
  }

 private:
  RandomKey key_;
  Philox4 block_{};
  std::uint32_t at_ = 0;
};

} // namespace weft
