#include "kernels/embedding/pixels.hpp"
#include "kernels/common/instantiate.hpp"
#include "kernels/common/kokkos.hpp"
#include "kernels/common/numbers.hpp"

namespace weft {

template <class T>
void pixels_forward(const PixelShape& s, T* out, const std::uint16_t* tokens, const float* w, const float* b) {
  for_each(
      "weft::pixels_forward", s.rows, KOKKOS_LAMBDA(std::int64_t i) {
        const float z = s.value(tokens[i]);
        for_numbers(0, s.width, [&](std::int64_t j, std::int64_t count) {
          put_numbers(out + i * s.width + j, z * numbers_at(w + j, count) + numbers_at(b + j, count), count);
        });
      });
}

template <class T>
void pixels_backward(const PixelShape& s, float* dw, float* db, const T* dout, const std::uint16_t* tokens,
                     float* partial) {
  const std::int64_t blocks = (s.rows + pixel_block - 1) / pixel_block;
  for_each(
      "weft::pixels_backward", blocks, KOKKOS_LAMBDA(std::int64_t block) {
        float *slopes = partial + 2 * block * s.width, *sums = slopes + s.width;
        const std::int64_t end = (block + 1) * pixel_block < s.rows ? (block + 1) * pixel_block : s.rows;
        for_numbers(0, s.width, [&](std::int64_t j, std::int64_t count) {
          Numbers slope = Numbers{}, sum = Numbers{};
          for (std::int64_t i = block * pixel_block; i < end; ++i) {
            const Numbers d = numbers_at(dout + i * s.width + j, count);
            slope = slope + s.value(tokens[i]) * d;
            sum = sum + d;
          }
          put_numbers(slopes + j, slope, count);
          put_numbers(sums + j, sum, count);
        });
      });
  for_each(
      "weft::pixels_backward_blocks", s.width, KOKKOS_LAMBDA(std::int64_t j) {
        float slope = 0, sum = 0;
        for (std::int64_t block = 0; block < blocks; ++block) {
          slope += partial[2 * block * s.width + j];
          sum += partial[(2 * block + 1) * s.width + j];
        }
        dw[j] = slope;
        db[j] = sum;
      });
}

#define WEFT_PIXELS_OF(T)                                                                                              \
  template void pixels_forward(const PixelShape&, T*, const std::uint16_t*, const float*, const float*);               \
  template void pixels_backward(const PixelShape&, float*, float*, const T*, const std::uint16_t*, float*)
WEFT_FOR_EACH_STORAGE(WEFT_PIXELS_OF);

} // namespace weft
