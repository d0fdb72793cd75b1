// Attention for AVX2 with FMA, which every host has. bf16 and fp16 are converted to fp32.
#ifndef WEFT_CUDA
#define WEFT_HOST host_avx2
#define WEFT_LANES 8
#define WEFT_PAIRS 0
#include "kernels/attention/host/backward.hpp"
#include "kernels/attention/host/forward.hpp"

namespace weft::detail::WEFT_HOST {
const HostTiles<float> fp32_tiles{forward_tile<float>, backward_tile<float>};
const HostTiles<bf16> bf16_tiles{forward_tile<bf16>, backward_tile<bf16>};
const HostTiles<fp16> fp16_tiles{forward_tile<fp16>, backward_tile<fp16>};
} // namespace weft::detail::WEFT_HOST
#endif
