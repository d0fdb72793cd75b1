#include "kernels/norm/norm.hpp"
#include "kernels/common/instantiate.hpp"
#include "kernels/norm/row.hpp"

namespace weft {

template <class T>
void norm_forward(T* out, float* mean, float* rstd, const T* x, const float* gain, const float* bias, std::int64_t rows,
                  std::int64_t width, float epsilon) {
  for_each(
      "weft::norm_forward", rows, KOKKOS_LAMBDA(std::int64_t i) {
        norm_row(out + i * width, mean[i], rstd[i], x + i * width, gain, bias, width, epsilon);
      });
}

template <class T>
void norm_again(T* out, const float* mean, const float* rstd, const T* x, const float* gain, const float* bias,
                std::int64_t rows, std::int64_t width) {
  for_each(
      "weft::norm_again", rows, KOKKOS_LAMBDA(std::int64_t i) {
        normalise_row(out + i * width, mean[i], rstd[i], x + i * width, gain, bias, width);
      });
}

namespace {
/// Chosen when compiled: the addition stays fused with the product before it.
template <Into into, class T>
void backward_into(T* dx, float* dgain, float* dbias, const T* dout, const T* x, const float* mean, const float* rstd,
                   const float* gain, std::int64_t rows, std::int64_t width, float* partial) {
  const std::int64_t blocks = (rows + norm_block - 1) / norm_block;
  for_each(
      "weft::norm_backward", blocks, KOKKOS_LAMBDA(std::int64_t b) {
        float* block_gain = partial + 2 * b * width;
        float* block_bias = block_gain + width;
        for (std::int64_t j = 0; j < width; ++j)
          block_gain[j] = block_bias[j] = 0;
        const std::int64_t end = (b + 1) * norm_block < rows ? (b + 1) * norm_block : rows;
        for (std::int64_t i = b * norm_block; i < end; ++i) {
          const T *from = x + i * width, *d = dout + i * width;
          T* to = dx + i * width;
          const float m = mean[i], r = rstd[i], n = static_cast<float>(width);
          const float sum = sum_of_numbers(width,
                                           [&](std::int64_t j, std::int64_t count) {
                                             return numbers_at(gain + j, count) * numbers_at(d + j, count);
                                           }) /
                            n;
          const float dot = sum_of_numbers(width,
                                           [&](std::int64_t j, std::int64_t count) {
                                             return numbers_at(gain + j, count) * numbers_at(d + j, count) *
                                                    ((numbers_at(from + j, count) - m) * r);
                                           }) /
                            n;
          for_numbers(0, width, [&](std::int64_t j, std::int64_t count) {
            const Numbers normalised = (numbers_at(from + j, count) - m) * r, g = numbers_at(d + j, count);
            put_numbers(block_gain + j, numbers_at(block_gain + j, count) + g * normalised, count);
            put_numbers(block_bias + j, numbers_at(block_bias + j, count) + g, count);
            Numbers before = Numbers{};
            if (into == Into::add)
              before = numbers_at(to + j, count);
            put_numbers(to + j, before + r * (numbers_at(gain + j, count) * g - sum - normalised * dot), count);
          });
        }
      });
  for_each(
      "weft::norm_backward_blocks", width, KOKKOS_LAMBDA(std::int64_t j) {
        float sum_gain = 0, sum_bias = 0;
        for (std::int64_t b = 0; b < blocks; ++b) {
          sum_gain += partial[2 * b * width + j];
          sum_bias += partial[(2 * b + 1) * width + j];
        }
        dgain[j] = sum_gain;
        dbias[j] = sum_bias;
      });
}
} // namespace

template <class T>
void norm_backward(T* dx, float* dgain, float* dbias, const T* dout, const T* x, const float* mean, const float* rstd,
                   const float* gain, std::int64_t rows, std::int64_t width, float* partial, Into into) {
  if (into == Into::add)
    backward_into<Into::add>(dx, dgain, dbias, dout, x, mean, rstd, gain, rows, width, partial);
  else
    backward_into<Into::overwrite>(dx, dgain, dbias, dout, x, mean, rstd, gain, rows, width, partial);
}

#define WEFT_NORM_OF(T)                                                                                                \
  template void norm_forward(T*, float*, float*, const T*, const float*, const float*, std::int64_t, std::int64_t,     \
                             float);                                                                                   \
  template void norm_again(T*, const float*, const float*, const T*, const float*, const float*, std::int64_t,         \
                           std::int64_t);                                                                              \
  template void norm_backward(T*, float*, float*, const T*, const T*, const float*, const float*, const float*,        \
                              std::int64_t, std::int64_t, float*, Into)
WEFT_FOR_EACH_STORAGE(WEFT_NORM_OF);

} // namespace weft
