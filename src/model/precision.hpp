// Whether a device can compute in the precision that was asked for.
#pragma once
#include "kernels/common/memory.hpp"

namespace weft {

/// Throws InputError where `device` has no matrix products in `run.precision`: bf16 needs an NVIDIA GPU of compute
/// capability 8.0 (A100) or newer. A host takes every precision.
void require_precision(const std::string& precision, const Runtime::Device& device);

} // namespace weft
