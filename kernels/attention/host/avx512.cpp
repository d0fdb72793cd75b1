// Attention for AVX-512 (x86-64-v4). bf16 is converted to fp32.
#ifndef WEFT_CUDA
#define WEFT_HOST host_avx512
#define WEFT_LANES 16
#define WEFT_PAIRS 0
#include "kernels/attention/host/instances.hpp"
#endif
