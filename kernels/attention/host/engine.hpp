// Which of the host's tile functions a call takes. For builds without a device.
#pragma once
#include "kernels/attention/attention.hpp"
#include "kernels/attention/host/tile_functions.hpp"

namespace weft::detail {

/// The functions for a path other than `portable`. Throws std::invalid_argument if the processor lacks what it needs.
template <class T>
const HostTiles<T>& host_tiles(AttentionPath path);

} // namespace weft::detail
