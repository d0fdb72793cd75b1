// The source of host_avx512_bf16 compiled for AVX2: for tests.
#ifndef WEFT_CUDA
#define WEFT_HOST host_avx512_bf16_emulated
#define WEFT_LANES 16
#define WEFT_PAIRS 1
#include "kernels/attention/host/instances.hpp"
#endif
