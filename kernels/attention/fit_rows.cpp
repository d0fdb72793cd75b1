#include "kernels/attention/fit_rows.hpp"
#include "kernels/common/instantiate.hpp"
#include "kernels/common/kokkos.hpp"

namespace weft {

/// Row by row of `to`, in strips.
template <class T>
void fit_rows(T* to, std::int64_t M, const T* from, std::int64_t N, std::int64_t sequences, std::int64_t width) {
  const std::int64_t strips = (width + range_width - 1) / range_width;
  for_each(
      "weft::fit_rows", sequences * M * strips, KOKKOS_LAMBDA(std::int64_t task) {
        const std::int64_t row = task / strips, s = row / M, i = row % M;
        const std::int64_t j0 = task % strips * range_width, j1 = j0 + range_width < width ? j0 + range_width : width;
        T* put = to + row * width;
        const T* get = from + (s * N + (i < N ? i : 0)) * width;
        const bool real = i < N;
        for (std::int64_t j = j0; j < j1; ++j)
          put[j] = real ? get[j] : T{};
      });
}

#define WEFT_FIT_ROWS_OF(T) template void fit_rows(T*, std::int64_t, const T*, std::int64_t, std::int64_t, std::int64_t)
WEFT_FOR_EACH_STORAGE(WEFT_FIT_ROWS_OF);

} // namespace weft
