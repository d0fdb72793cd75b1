// The tile functions of one instruction set, at the end of the file that says which (host/tile.hpp). fp16 has one
// version for every processor, and fp32 none of its own where bf16 is multiplied in pairs.
#pragma once
#include "kernels/attention/host/backward.hpp"
#include "kernels/attention/host/forward.hpp"

namespace weft::detail::WEFT_HOST {

const HostTiles<bf16> bf16_tiles{forward_tile<bf16>, backward_tile<bf16>};
#if !WEFT_PAIRS
const HostTiles<float> fp32_tiles{forward_tile<float>, backward_tile<float>};
#endif
#if WEFT_LANES == 8
const HostTiles<fp16> fp16_tiles{forward_tile<fp16>, backward_tile<fp16>};
#endif

} // namespace weft::detail::WEFT_HOST
