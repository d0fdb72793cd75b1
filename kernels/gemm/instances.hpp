// The instantiations of gemm.hpp, the same for host and device: at the end of gemm.cpp and gemm_cuda.cpp, within weft.
#pragma once
#include "kernels/common/instantiate.hpp"
#include "kernels/gemm/gemm.hpp"

#define WEFT_LINEAR_OF(T)                                                                                              \
  template void linear_forward(const LinearShape&, T*, const T*, const T*, const float*);                              \
  template void linear_backward_input(const LinearShape&, T*, const T*, const T*);                                     \
  template void linear_backward_weight(const LinearShape&, float*, const T*, const T*, Into);                          \
  template std::size_t linear_workspace_bytes<T>(const LinearShape&)

/// Results in fp32 of what is not.
#define WEFT_LINEAR_TO_FLOAT_OF(T)                                                                                     \
  template void linear_forward(const LinearShape&, float*, const T*, const T*, const float*);                          \
  template void linear_backward_input(const LinearShape&, float*, const T*, const T*)

#define WEFT_LINEAR_INSTANCES                                                                                          \
  WEFT_FOR_EACH_STORAGE(WEFT_LINEAR_OF);                                                                               \
  WEFT_LINEAR_TO_FLOAT_OF(bf16);                                                                                       \
  WEFT_LINEAR_TO_FLOAT_OF(fp16)
