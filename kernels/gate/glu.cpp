#include "kernels/gate/glu.hpp"
#include "kernels/common/instantiate.hpp"
#include "kernels/gate/rows.hpp"

namespace weft {

template <class T>
void glu_forward(const GluShape& g, T* out, const T* both) {
  const std::int64_t D = g.width;
  for_rows(
      "weft::glu_forward", g.rows, D, KOKKOS_LAMBDA(std::int64_t i, std::int64_t j, std::int64_t count) {
        const T* in = both + 2 * i * D + j;
        put_numbers(out + i * D + j, numbers_at(in, count) * sigmoid_of(numbers_at(in + D, count)), count);
      });
}

template <class T>
void glu_backward(const GluShape& g, T* dboth, const T* dout, const T* both) {
  const std::int64_t D = g.width;
  for_rows(
      "weft::glu_backward", g.rows, D, KOKKOS_LAMBDA(std::int64_t i, std::int64_t j, std::int64_t count) {
        const std::int64_t in = 2 * i * D + j;
        const Numbers a = numbers_at(both + in, count), gate = sigmoid_of(numbers_at(both + in + D, count));
        const Numbers d = numbers_at(dout + i * D + j, count);
        put_numbers(dboth + in, d * gate, count);
        put_numbers(dboth + in + D, d * a * gate * (1.0f - gate), count);
      });
}

#define WEFT_GLU_OF(T)                                                                                                 \
  template void glu_forward(const GluShape&, T*, const T*);                                                            \
  template void glu_backward(const GluShape&, T*, const T*, const T*)
WEFT_FOR_EACH_STORAGE(WEFT_GLU_OF);

} // namespace weft
