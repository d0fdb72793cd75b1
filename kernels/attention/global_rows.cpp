#include "kernels/attention/global_rows.hpp"
#include "kernels/common/instantiate.hpp"
#include "kernels/common/kokkos.hpp"
#include "kernels/common/numbers.hpp"

namespace weft {

template <class T>
void global_rows_put(const AttentionShape& shape, T* out, const T* from, std::int64_t global) {
  const std::int64_t N = shape.length, C = shape.heads * shape.value_width, stride = shape.row_stride_out,
                     rows = global < N ? global : N;
  for_each(
      "weft::global_rows_put", shape.batch * rows, KOKKOS_LAMBDA(std::int64_t row) {
        const std::int64_t at = (row / rows * N + row % rows) * stride;
        for (std::int64_t j = 0; j < C; ++j)
          out[at + j] = from[at + j];
      });
}

template <class T>
void add_more(T* x, const T* more, std::int64_t n) {
  for_each_range(
      "weft::add_more", n, KOKKOS_LAMBDA(std::int64_t begin, std::int64_t end) {
        for_numbers(begin, end, [&](std::int64_t i, std::int64_t count) {
          put_numbers(x + i, numbers_at(x + i, count) + numbers_at(more + i, count), count);
        });
      });
}

#define WEFT_GLOBAL_ROWS_OF(T)                                                                                         \
  template void global_rows_put(const AttentionShape&, T*, const T*, std::int64_t);                                    \
  template void add_more(T*, const T*, std::int64_t)
WEFT_FOR_EACH_STORAGE(WEFT_GLOBAL_ROWS_OF);

} // namespace weft
