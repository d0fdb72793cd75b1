// Products of tiles for AVX-512 (x86-64-v4).
#ifndef WEFT_CUDA
#define WEFT_PRODUCTS host_avx512
#define WEFT_PRODUCT_LANES 16
#include "kernels/common/host_product.hpp"
#endif
