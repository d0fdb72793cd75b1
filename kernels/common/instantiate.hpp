// One list of the storage types for all that is instantiated for each of them.
#pragma once
#include "kernels/common/types.hpp"

/// Behind the definitions of function templates over the storage type: Declare(T) gives their instantiations for one T.
#define WEFT_FOR_EACH_STORAGE(Declare)                                                                                 \
  Declare(float);                                                                                                      \
  Declare(bf16);                                                                                                       \
  Declare(fp16)
