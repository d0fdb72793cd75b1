#include "model/key_bits.hpp"

namespace weft {

void shift_bits(std::vector<std::uint32_t>& to, const std::uint32_t* from, std::int64_t sequences, std::int64_t length,
                FrontBit front) {
  const std::int64_t words = bit_words(length), slots = bit_words(length + 1);
  const std::uint32_t behind = length % 32 == 0 ? 0xffffffffu : (1u << (length % 32)) - 1;
  to.assign(static_cast<std::size_t>(sequences * slots), 0);
  for (std::int64_t s = 0; s < sequences; ++s) {
    const std::uint32_t* bits = from + s * words;
    std::uint32_t carry = front == FrontBit::always ? 1u : bits[0] & 1u;
    for (std::int64_t w = 0; w < slots; ++w) {
      std::uint32_t word = w < words ? bits[w] : 0;
      if (w == words - 1)
        word &= behind;
      to[static_cast<std::size_t>(s * slots + w)] = word << 1 | carry;
      carry = word >> 31;
    }
  }
}

} // namespace weft
