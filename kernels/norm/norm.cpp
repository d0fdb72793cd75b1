#include "kernels/norm/norm.hpp"
#include "kernels/common/kokkos.hpp"

namespace weft {

namespace {
/// Eight running sums let the compiler use vectors without reordering anything it was not told to.
constexpr int lanes = 8;

template <class Term>
KOKKOS_INLINE_FUNCTION float lane_sum(std::int64_t n, const Term& term) {
  float sums[lanes] = {};
  std::int64_t j = 0;
  for (; j + lanes <= n; j += lanes)
    for (int v = 0; v < lanes; ++v)
      sums[v] += term(j + v);
  for (int v = 0; j < n; ++j, ++v)
    sums[v] += term(j);
  return ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]));
}
} // namespace

template <class T>
void norm_forward(T* out, float* mean, float* rstd, const T* x, const float* gain, const float* bias, std::int64_t rows,
                  std::int64_t width, float epsilon) {
  for_each(
      "weft::norm_forward", rows, KOKKOS_LAMBDA(std::int64_t i) {
        const T* from = x + i * width;
        T* to = out + i * width;
        const float n = static_cast<float>(width);
        const float m = lane_sum(width, [&](std::int64_t j) { return load(from[j]); }) / n;
        const float squares =
            lane_sum(width, [&](std::int64_t j) { return (load(from[j]) - m) * (load(from[j]) - m); });
        const float r = 1.0f / Kokkos::sqrt(squares / n + epsilon);
        for (std::int64_t j = 0; j < width; ++j)
          to[j] = store<T>(gain[j] * ((load(from[j]) - m) * r) + bias[j]);
        mean[i] = m;
        rstd[i] = r;
      });
}

template <class T>
void norm_backward(T* dx, float* dgain, float* dbias, const T* dout, const T* x, const float* mean, const float* rstd,
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
          const float sum = lane_sum(width, [&](std::int64_t j) { return gain[j] * load(d[j]); }) / n;
          const float dot =
              lane_sum(width, [&](std::int64_t j) { return gain[j] * load(d[j]) * ((load(from[j]) - m) * r); }) / n;
          for (std::int64_t j = 0; j < width; ++j) {
            const float normalised = (load(from[j]) - m) * r, g = load(d[j]);
            block_gain[j] += g * normalised;
            block_bias[j] += g;
            to[j] = store<T>(load(to[j]) + r * (gain[j] * g - sum - normalised * dot));
          }
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

template void norm_forward(float*, float*, float*, const float*, const float*, const float*, std::int64_t, std::int64_t,
                           float);
template void norm_forward(bf16*, float*, float*, const bf16*, const float*, const float*, std::int64_t, std::int64_t,
                           float);
template void norm_backward(float*, float*, float*, const float*, const float*, const float*, const float*,
                            const float*, std::int64_t, std::int64_t, float*);
template void norm_backward(bf16*, float*, float*, const bf16*, const bf16*, const float*, const float*, const float*,
                            std::int64_t, std::int64_t, float*);

} // namespace weft
