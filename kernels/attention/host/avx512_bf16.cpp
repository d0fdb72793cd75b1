// Attention of bf16 tensors for AVX-512 with AVX512-BF16; fp32 tensors take host_avx512.
#ifndef WEFT_CUDA
#define WEFT_HOST host_avx512_bf16
#define WEFT_LANES 16
#define WEFT_PAIRS 1
#include "kernels/attention/host/instances.hpp"
#endif
