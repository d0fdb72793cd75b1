// Attention for AVX-512 (x86-64-v4). bf16 is converted to fp32.
#ifndef WEFT_CUDA
#define WEFT_HOST host_avx512
#define WEFT_LANES 16
#define WEFT_PAIRS 0
#include "kernels/attention/host/backward.hpp"
#include "kernels/attention/host/forward.hpp"

namespace weft::detail::WEFT_HOST {
const HostTiles<float> fp32_tiles{forward_tile<float>, backward_tile<float>};
const HostTiles<bf16> bf16_tiles{forward_tile<bf16>, backward_tile<bf16>};
} // namespace weft::detail::WEFT_HOST
#endif
