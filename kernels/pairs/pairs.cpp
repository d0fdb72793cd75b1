#include "kernels/pairs/pairs.hpp"
#include "kernels/common/instantiate.hpp"
#include "kernels/common/kokkos.hpp"
#include "kernels/common/numbers.hpp"

namespace weft {

template <class T>
void pairs_forward(T* features, const T* x, PairFeatures kind, std::int64_t pairs, std::int64_t width) {
  const std::int64_t D = width, wide = pair_width(kind, width);
  const std::int64_t first = kind == PairFeatures::second_first ? D : 0, second = D - first;
  const bool four = kind == PairFeatures::four;
  for_each(
      "weft::pairs_forward", pairs, KOKKOS_LAMBDA(std::int64_t b) {
        const T *x1 = x + b * D, *x2 = x + (pairs + b) * D;
        T* to = features + b * wide;
        for_numbers(0, D, [&](std::int64_t j, std::int64_t count) {
          const Numbers left = numbers_at(x1 + j, count), right = numbers_at(x2 + j, count);
          put_numbers(to + first + j, left, count);
          put_numbers(to + second + j, right, count);
          if (four) {
            put_numbers(to + 2 * D + j, left * right, count);
            put_numbers(to + 3 * D + j, left - right, count);
          }
        });
      });
}

template <class T>
void pairs_backward(T* dx, const T* dfeatures, const T* x, PairFeatures kind, std::int64_t pairs, std::int64_t width) {
  const std::int64_t D = width, wide = pair_width(kind, width);
  const std::int64_t first = kind == PairFeatures::second_first ? D : 0, second = D - first;
  const bool four = kind == PairFeatures::four;
  for_each(
      "weft::pairs_backward", pairs, KOKKOS_LAMBDA(std::int64_t b) {
        const T *x1 = x + b * D, *x2 = x + (pairs + b) * D, *from = dfeatures + b * wide;
        T *d1 = dx + b * D, *d2 = dx + (pairs + b) * D;
        for_numbers(0, D, [&](std::int64_t j, std::int64_t count) {
          Numbers left = numbers_at(from + first + j, count), right = numbers_at(from + second + j, count);
          if (four) {
            const Numbers product = numbers_at(from + 2 * D + j, count),
                          difference = numbers_at(from + 3 * D + j, count);
            left = left + product * numbers_at(x2 + j, count) + difference;
            right = right + product * numbers_at(x1 + j, count) - difference;
          }
          put_numbers(d1 + j, left, count);
          put_numbers(d2 + j, right, count);
        });
      });
}

#define WEFT_PAIRS_OF_ROWS_OF(T)                                                                                       \
  template void pairs_forward(T*, const T*, PairFeatures, std::int64_t, std::int64_t);                                 \
  template void pairs_backward(T*, const T*, const T*, PairFeatures, std::int64_t, std::int64_t)
WEFT_FOR_EACH_STORAGE(WEFT_PAIRS_OF_ROWS_OF);

} // namespace weft
