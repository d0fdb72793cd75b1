#include "kernels/recurrence/skip.hpp"
#include "kernels/common/instantiate.hpp"
#include "kernels/gate/rows.hpp"
#include "kernels/sum/column_sums.hpp"

namespace weft {

template <class T>
void skip_forward(T* y, const T* x, const float* d, std::int64_t rows, std::int64_t width) {
  for_rows(
      "weft::skip_forward", rows, width, KOKKOS_LAMBDA(std::int64_t i, std::int64_t j, std::int64_t count) {
        T* to = y + i * width + j;
        const Numbers x_ij = numbers_at(x + i * width + j, count);
        put_numbers(to, numbers_at(to, count) + numbers_at(d + j, count) * x_ij, count);
      });
}

template <class T>
void skip_backward(T* dx, float* dd, const T* dy, const T* x, const float* d, std::int64_t rows, std::int64_t width,
                   float* partial) {
  column_sums_of_pass(
      "weft::skip_backward", dd, rows, width, partial,
      KOKKOS_LAMBDA(float* sums, std::int64_t i, std::int64_t j0, std::int64_t n) {
        for_numbers(0, n, [&](std::int64_t v, std::int64_t count) {
          const std::int64_t at = i * width + j0 + v;
          const Numbers dy_ij = numbers_at(dy + at, count);
          put_numbers(dx + at, numbers_at(dx + at, count) + numbers_at(d + j0 + v, count) * dy_ij, count);
          put_numbers(sums + v, numbers_at(sums + v, count) + dy_ij * numbers_at(x + at, count), count);
        });
      });
}

#define WEFT_SKIP_OF(T)                                                                                                \
  template void skip_forward(T*, const T*, const float*, std::int64_t, std::int64_t);                                  \
  template void skip_backward(T*, float*, const T*, const T*, const float*, std::int64_t, std::int64_t, float*)
WEFT_FOR_EACH_STORAGE(WEFT_SKIP_OF);

} // namespace weft
