#include "kernels/norm/rms_norm.hpp"
#include "kernels/common/instantiate.hpp"
#include "kernels/common/kokkos.hpp"
#include "kernels/common/numbers.hpp"

namespace weft {

namespace {
/// The gains of a group of channels.
struct Gains {
  const float* gain;
  bool one;
  WEFT_FUNCTION Numbers at(std::int64_t j, std::int64_t count) const {
    return one ? Numbers{} + *gain : numbers_at(gain + j, count);
  }
};
} // namespace

template <class T>
void rms_norm_again(const RmsShape& shape, T* out, const float* r, const T* x, const float* gain) {
  const std::int64_t width = shape.width;
  const Gains gains{gain, shape.one_gain};
  for_each(
      "weft::rms_norm_again", shape.rows, KOKKOS_LAMBDA(std::int64_t i) {
        const float by = r[i];
        for_numbers(0, width, [&](std::int64_t j, std::int64_t count) {
          put_numbers(out + i * width + j, gains.at(j, count) * (by * numbers_at(x + i * width + j, count)), count);
        });
      });
}

template <class T>
void rms_norm_forward(const RmsShape& shape, T* out, float* r, const T* x, const float* gain, float epsilon) {
  const std::int64_t width = shape.width;
  for_each(
      "weft::rms_norm_forward", shape.rows, KOKKOS_LAMBDA(std::int64_t i) {
        const float squares = sum_of_numbers(width, [&](std::int64_t j, std::int64_t count) {
          const Numbers value = numbers_at(x + i * width + j, count);
          return value * value;
        });
        r[i] = 1.0f / Kokkos::sqrt(squares / static_cast<float>(width) + epsilon);
      });
  rms_norm_again(shape, out, r, x, gain);
}

template <class T>
void rms_norm_backward(const RmsShape& shape, T* dx, float* dgain, const T* dout, const T* x, const float* r,
                       const float* gain, float* partial, Into into) {
  const std::int64_t rows = shape.rows, width = shape.width, blocks = (rows + norm_block - 1) / norm_block;
  const bool one = shape.one_gain; // its gradient is a sum of whole rows, which cancel less than channels do
  const Gains gains{gain, one};
  for_each(
      "weft::rms_norm_backward", blocks, KOKKOS_LAMBDA(std::int64_t b) {
        float* sums = partial + b * width;
        for (std::int64_t j = 0; j < width; ++j)
          sums[j] = 0;
        const std::int64_t end = (b + 1) * norm_block < rows ? (b + 1) * norm_block : rows;
        for (std::int64_t i = b * norm_block; i < end; ++i) {
          const T *from = x + i * width, *d = dout + i * width;
          T* to = dx + i * width;
          const float by = r[i];
          float dot = sum_of_numbers(width, [&](std::int64_t j, std::int64_t count) {
            const Numbers product = numbers_at(d + j, count) * numbers_at(from + j, count);
            return one ? product : gains.at(j, count) * product;
          });
          if (one) {
            sums[0] += dot * by;
            dot *= *gain;
          }
          const float share = by * by * dot / static_cast<float>(width);
          for_numbers(0, width, [&](std::int64_t j, std::int64_t count) {
            const Numbers value = numbers_at(from + j, count), g = numbers_at(d + j, count);
            if (!one)
              put_numbers(sums + j, numbers_at(sums + j, count) + g * (by * value), count);
            const Numbers slope = by * (gains.at(j, count) * g - share * value);
            put_numbers(to + j, into == Into::add ? numbers_at(to + j, count) + slope : slope, count);
          });
        }
      });
  for_each(
      "weft::rms_norm_gain", shape.gains(), KOKKOS_LAMBDA(std::int64_t g) {
        float sum = 0;
        for (std::int64_t b = 0; b < blocks; ++b)
          sum += partial[b * width + g];
        dgain[g] = sum;
      });
}

#define WEFT_RMS_NORM_OF(T)                                                                                            \
  template void rms_norm_forward(const RmsShape&, T*, float*, const T*, const float*, float);                          \
  template void rms_norm_again(const RmsShape&, T*, const float*, const T*, const float*);                             \
  template void rms_norm_backward(const RmsShape&, T*, float*, const T*, const T*, const float*, const float*, float*, \
                                  Into)
WEFT_FOR_EACH_STORAGE(WEFT_RMS_NORM_OF);

} // namespace weft
