// Products of tiles for every host processor.
#ifndef WEFT_CUDA
#define WEFT_PRODUCTS host_avx2
#define WEFT_PRODUCT_LANES 8
#include "kernels/common/host_product.hpp"
#endif
