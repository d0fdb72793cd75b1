#include "kernels/norm/scale_norm.hpp"
#include "kernels/common/instantiate.hpp"
#include "kernels/common/kokkos.hpp"
#include "kernels/common/numbers.hpp"

namespace weft {

template <class T>
void scale_norm_forward(T* out, float* r, const T* x, const float* gain, std::int64_t rows, std::int64_t width,
                        float epsilon) {
  for_each(
      "weft::scale_norm_forward", rows, KOKKOS_LAMBDA(std::int64_t i) {
        const T* from = x + i * width;
        const float squares = sum_of_numbers(width, [&](std::int64_t j, std::int64_t count) {
          const Numbers value = numbers_at(from + j, count);
          return value * value;
        });
        r[i] = 1.0f / Kokkos::sqrt(squares / static_cast<float>(width) + epsilon);
        const float by = *gain * r[i];
        for_numbers(0, width, [&](std::int64_t j, std::int64_t count) {
          put_numbers(out + i * width + j, by * numbers_at(from + j, count), count);
        });
      });
}

template <class T>
void scale_norm_again(T* out, const float* r, const T* x, const float* gain, std::int64_t rows, std::int64_t width) {
  for_each(
      "weft::scale_norm_again", rows, KOKKOS_LAMBDA(std::int64_t i) {
        const float by = *gain * r[i];
        for_numbers(0, width, [&](std::int64_t j, std::int64_t count) {
          put_numbers(out + i * width + j, by * numbers_at(x + i * width + j, count), count);
        });
      });
}

template <class T>
void scale_norm_backward(T* dx, float* dgain, const T* dout, const T* x, const float* r, const float* gain,
                         std::int64_t rows, std::int64_t width, float* partial, Into into) {
  const std::int64_t blocks = (rows + norm_block - 1) / norm_block;
  for_each(
      "weft::scale_norm_backward", blocks, KOKKOS_LAMBDA(std::int64_t b) {
        const std::int64_t end = (b + 1) * norm_block < rows ? (b + 1) * norm_block : rows;
        float sum = 0;
        for (std::int64_t i = b * norm_block; i < end; ++i) {
          const T *from = x + i * width, *d = dout + i * width;
          T* to = dx + i * width;
          const float dot = sum_of_numbers(width, [&](std::int64_t j, std::int64_t count) {
            return numbers_at(d + j, count) * numbers_at(from + j, count);
          });
          sum += dot * r[i];
          const float by = *gain * r[i], share = r[i] * r[i] * dot / static_cast<float>(width);
          for_numbers(0, width, [&](std::int64_t j, std::int64_t count) {
            const Numbers slope = by * (numbers_at(d + j, count) - share * numbers_at(from + j, count));
            put_numbers(to + j, into == Into::add ? numbers_at(to + j, count) + slope : slope, count);
          });
        }
        partial[b] = sum;
      });
  for_each(
      "weft::scale_norm_gain", 1, KOKKOS_LAMBDA(std::int64_t) {
        float sum = 0;
        for (std::int64_t b = 0; b < blocks; ++b)
          sum += partial[b];
        *dgain = sum;
      });
}

#define WEFT_SCALE_NORM_OF(T)                                                                                          \
  template void scale_norm_forward(T*, float*, const T*, const float*, std::int64_t, std::int64_t, float);             \
  template void scale_norm_again(T*, const float*, const T*, const float*, std::int64_t, std::int64_t);                \
  template void scale_norm_backward(T*, float*, const T*, const T*, const float*, const float*, std::int64_t,          \
                                    std::int64_t, float*, Into)
WEFT_FOR_EACH_STORAGE(WEFT_SCALE_NORM_OF);

} // namespace weft
