// The source of host_avx512 compiled for AVX2: for tests.
#ifndef WEFT_CUDA
#define WEFT_HOST host_avx512_emulated
#define WEFT_LANES 16
#define WEFT_PAIRS 0
#include "kernels/attention/host/instances.hpp"
#endif
