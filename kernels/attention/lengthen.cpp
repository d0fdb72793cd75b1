#include "kernels/attention/lengthen.hpp"
#include "kernels/common/instantiate.hpp"
#include "kernels/common/kokkos.hpp"

namespace weft {

namespace {
/// Row by row of `to`, in strips; rows from `length` on become 0.
template <class T>
void move_rows(const char* label, T* to, std::int64_t to_length, const T* from, std::int64_t from_length,
               std::int64_t sequences, std::int64_t length, std::int64_t width) {
  const std::int64_t strips = (width + range_width - 1) / range_width;
  for_each(
      label, sequences * to_length * strips, KOKKOS_LAMBDA(std::int64_t task) {
        const std::int64_t row = task / strips, s = row / to_length, i = row % to_length;
        const std::int64_t j0 = task % strips * range_width, j1 = j0 + range_width < width ? j0 + range_width : width;
        T* put = to + row * width;
        const T* get = from + (s * from_length + (i < length ? i : 0)) * width;
        const bool real = i < length;
        for (std::int64_t j = j0; j < j1; ++j)
          put[j] = real ? get[j] : T{};
      });
}
} // namespace

template <class T>
void lengthen_rows(T* to, const T* from, std::int64_t sequences, std::int64_t longer, std::int64_t length,
                   std::int64_t width) {
  move_rows("weft::lengthen_rows", to, longer, from, length, sequences, length, width);
}

template <class T>
void shorten_rows(T* to, const T* from, std::int64_t sequences, std::int64_t longer, std::int64_t length,
                  std::int64_t width) {
  move_rows("weft::shorten_rows", to, length, from, longer, sequences, length, width);
}

#define WEFT_LENGTHEN_OF(T)                                                                                            \
  template void lengthen_rows(T*, const T*, std::int64_t, std::int64_t, std::int64_t, std::int64_t);                   \
  template void shorten_rows(T*, const T*, std::int64_t, std::int64_t, std::int64_t, std::int64_t)
WEFT_FOR_EACH_STORAGE(WEFT_LENGTHEN_OF);

} // namespace weft
