#pragma once
#include <cstdint>

namespace weft {

/// table[p, 2c] = sin(p 10000^(-2c/D)), table[p, 2c + 1] = cos(p 10000^(-2c/D)), p in [0, n), columns in [0, D): the
/// fixed positions of the Long Range Arena's code, sine on even and cosine on odd columns (after Vaswani et al. 2017,
/// section 3.5). In host memory (overwritten), computed in double.
void fill_sinusoid(float* table, std::int64_t n, std::int64_t width);

} // namespace weft
