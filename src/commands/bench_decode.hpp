#pragma once
#include <cstdint>
#include <string>

namespace weft {

class Console;

/// `weft bench --decode`: whole sequences of N = 12,288 bytes (quick: 2,048), sampled token by token from random
/// weights of a model with 6 layers of width `width` and heads of width 32, with dense, fixed (l = 128, c = 32) and
/// strided (l = 128) attention, and how much faster than dense each is. `json` (may be empty): the table as a file.
void bench_decode(Console& console, bool quick, std::int64_t samples, std::int64_t width, const std::string& precision,
                  const std::string& json);

} // namespace weft
