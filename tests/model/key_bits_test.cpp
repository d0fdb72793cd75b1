// Promise: the bits of the slots are those of the tokens behind the front vector's own.
#include "model/key_bits.hpp"
#include <gtest/gtest.h>
#include <random>

using namespace weft;

namespace {

bool bit(const std::uint32_t* words, std::int64_t i) { return words[i / 32] >> (i % 32) & 1u; }

TEST(ShiftBits, EverySlotHasItsTokensBit) {
  std::mt19937 random(1);
  for (const std::int64_t n : {1, 5, 31, 32, 33, 63, 64, 100})
    for (const FrontBit front : {FrontBit::always, FrontBit::as_first_token}) {
      const std::int64_t S = 3, words = bit_words(n), slots = bit_words(n + 1);
      std::vector<std::uint32_t> from(static_cast<std::size_t>(S * words)), to;
      for (std::uint32_t& word : from)
        word = random(); // bits behind the last token, too
      from[0] &= ~1u;
      shift_bits(to, from.data(), S, n, front);
      ASSERT_EQ(to.size(), static_cast<std::size_t>(S * slots));
      for (std::int64_t s = 0; s < S; ++s) {
        const std::uint32_t *old = from.data() + s * words, *now = to.data() + s * slots;
        EXPECT_EQ(bit(now, 0), front == FrontBit::always || bit(old, 0)) << n;
        for (std::int64_t i = 0; i < n; ++i)
          ASSERT_EQ(bit(now, i + 1), bit(old, i)) << n << " " << i;
        for (std::int64_t i = n + 1; i < 32 * slots; ++i)
          ASSERT_FALSE(bit(now, i)) << n << " " << i;
      }
    }
}

} // namespace
