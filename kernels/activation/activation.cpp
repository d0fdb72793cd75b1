#include "kernels/activation/activation.hpp"
#include "kernels/common/numbers.hpp"
#include "kernels/sum/column_sums.hpp"

namespace weft {

template <class T>
void activation_forward(T* out, const T* u, std::int64_t n) {
  for_each_range(
      "weft::activation_forward", n, KOKKOS_LAMBDA(std::int64_t begin, std::int64_t end) {
        for_numbers(begin, end, [&](std::int64_t i, std::int64_t count) {
          const Numbers x = numbers_at(u + i, count), s = 1.0f / (1.0f + exp_of(-1.702f * x));
          put_numbers(out + i, x * s, count);
        });
      });
}

template <class T>
void activation_backward(T* out, T* du, float* dbias, const T* dout, const T* u, std::int64_t rows, std::int64_t width,
                         float* partial) {
  column_sums_of_pass(
      "weft::activation_backward", dbias, rows, width, partial,
      KOKKOS_LAMBDA(float* sums, std::int64_t i, std::int64_t j0, std::int64_t columns) {
        const std::int64_t row = i * width + j0;
        for_numbers(0, columns, [&](std::int64_t j, std::int64_t count) {
          const std::int64_t at = row + j;
          const Numbers x = numbers_at(u + at, count), s = 1.0f / (1.0f + exp_of(-1.702f * x));
          const Numbers d = stored<T>(numbers_at(dout + at, count) * (s + 1.702f * x * s * (1.0f - s)));
          put_numbers(out + at, x * s, count);
          put_numbers(du + at, d, count);
          put_numbers(sums + j, numbers_at(sums + j, count) + d, count);
        });
      });
}

template void activation_forward(float*, const float*, std::int64_t);
template void activation_forward(bf16*, const bf16*, std::int64_t);
template void activation_forward(fp16*, const fp16*, std::int64_t);
template void activation_backward(float*, float*, float*, const float*, const float*, std::int64_t, std::int64_t,
                                  float*);
template void activation_backward(bf16*, bf16*, float*, const bf16*, const bf16*, std::int64_t, std::int64_t, float*);
template void activation_backward(fp16*, fp16*, float*, const fp16*, const fp16*, std::int64_t, std::int64_t, float*);

} // namespace weft
