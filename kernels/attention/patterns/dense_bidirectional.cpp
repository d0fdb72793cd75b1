// Dense attention of an encoder: S_i = {0 .. N - 1}.
#include "kernels/attention/pattern.hpp"

namespace weft {

Pattern dense_bidirectional(int length) {
  detail::require(length >= 1, "a length of 1 or more");
  return block_bidirectional(length, length);
}

} // namespace weft
