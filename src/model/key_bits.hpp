// Which positions are real, as bits: of the tokens, and of the slots where a learned vector stands in front of them.
#pragma once
#include <cstdint>
#include <vector>

namespace weft {

/// 32-bit words that hold `length` bits.
constexpr std::int64_t bit_words(std::int64_t length) { return (length + 31) / 32; }

/// Whether the front vector is a real key: always, or where the first token is (the Long Range Arena's released code).
enum class FrontBit { always, as_first_token };

/// to: (S, bit_words(length + 1)): bit 0 of a sequence by `front`, bit i + 1 is bit i of from (S, bit_words(length)).
/// Bits behind the last slot are 0.
void shift_bits(std::vector<std::uint32_t>& to, const std::uint32_t* from, std::int64_t sequences, std::int64_t length,
                FrontBit front);

} // namespace weft
