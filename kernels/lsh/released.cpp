#include "kernels/lsh/released.hpp"
#include "kernels/common/instantiate.hpp"
#include "kernels/common/kokkos.hpp"
#include "kernels/common/numbers.hpp"

namespace weft {

namespace {
template <class T>
WEFT_FUNCTION void copy_row(T* to, const T* from, std::int64_t width) {
  for_numbers(0, width, [&](std::int64_t e, std::int64_t count) {
    put_numbers(to + e, from ? numbers_at(from + e, count) : Numbers{}, count);
  });
}
} // namespace

template <class T>
void scramble_heads(T* y, const T* attended, std::int64_t sequences, std::int64_t length, std::int64_t heads,
                    std::int64_t width) {
  const std::int64_t M = released_length(length), N = length, H = heads;
  for_each(
      "weft::scramble_heads", sequences * N * H, KOKKOS_LAMBDA(std::int64_t task) {
        const std::int64_t s = task / (N * H), place = task % (N * H);
        copy_row(y + task * width, attended + ((s * M + place % M) * H + place / M) * width, width);
      });
}

template <class T>
void scramble_heads_backward(T* dattended, const T* dy, std::int64_t sequences, std::int64_t length, std::int64_t heads,
                             std::int64_t width) {
  const std::int64_t M = released_length(length), N = length, H = heads;
  for_each(
      "weft::scramble_heads_backward", sequences * M * H, KOKKOS_LAMBDA(std::int64_t task) {
        const std::int64_t s = task / (M * H), i = task / H % M, h = task % H, place = h * M + i;
        copy_row(dattended + task * width, place < N * H ? dy + (s * N * H + place) * width : nullptr, width);
      });
}

#define WEFT_RELEASED_OF(T)                                                                                            \
  template void scramble_heads(T*, const T*, std::int64_t, std::int64_t, std::int64_t, std::int64_t);                  \
  template void scramble_heads_backward(T*, const T*, std::int64_t, std::int64_t, std::int64_t, std::int64_t)
WEFT_FOR_EACH_STORAGE(WEFT_RELEASED_OF);

} // namespace weft
