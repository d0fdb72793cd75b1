// Attention for AVX2 with FMA, which every host has. bf16 and fp16 are converted to fp32.
#ifndef WEFT_CUDA
#define WEFT_HOST host_avx2
#define WEFT_LANES 8
#define WEFT_PAIRS 0
#include "kernels/attention/host/instances.hpp"
#endif
