// Errors of the CUDA runtime as exceptions. Included by .cpp files here only; on a host there is nothing in it.
#pragma once
#ifdef WEFT_CUDA
#include <cuda_runtime_api.h>
#include <stdexcept>
#include <string>

namespace weft {

/// Throws std::runtime_error: what failed, the runtime's words, what to do.
inline void require(cudaError_t status, const char* what, const char* advice) {
  if (status != cudaSuccess)
    throw std::runtime_error(std::string(what) + ": " + cudaGetErrorString(status) + "; " + advice);
}

} // namespace weft
#endif
