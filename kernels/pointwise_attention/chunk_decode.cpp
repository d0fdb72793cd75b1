#include "kernels/pointwise_attention/chunk_decode.hpp"
#include "kernels/common/instantiate.hpp"
#include "kernels/common/kokkos.hpp"
#include "kernels/common/numbers.hpp"
#include "kernels/pointwise_attention/functions.hpp"

namespace weft {

template <class T>
void chunk_decode(const ChunkDecode& call, T* out, const T* qkv, T* keys, T* values, const float* bias,
                  std::int64_t place, float* workspace) {
  const std::int64_t Z = call.key_width, V = call.value_width, C = call.capacity, M = call.reach, n = place + 1;
  const std::int64_t S = call.samples, stride = call.row_stride;
  const ChunkWeights kind = call.weights;
  const float scale =
      kind == ChunkWeights::softmax ? 1.0f / Kokkos::sqrt(static_cast<float>(Z)) : 1.0f / static_cast<float>(n);
  for_each(
      "weft::chunk_decode_keep", S * (Z + V), KOKKOS_LAMBDA(std::int64_t i) {
        const std::int64_t b = i / (Z + V), c = i % (Z + V);
        T& to = c < Z ? keys[(b * C + place) * Z + c] : values[(b * C + place) * V + c - Z];
        to = qkv[b * stride + Z + c];
      });
  for_each(
      "weft::chunk_decode_scores", S * n, KOKKOS_LAMBDA(std::int64_t i) {
        const std::int64_t b = i / n, j = i % n;
        const T *q = qkv + b * stride, *k = keys + (b * C + j) * Z;
        float s = scale * sum_of_numbers(Z, [&](std::int64_t e, std::int64_t count) {
                    return numbers_at(q + e, count) * numbers_at(k + e, count);
                  });
        if (place - j < M)
          s += bias[M - 1 + j - place];
        if (kind == ChunkWeights::laplace)
          s = total_of(first_of(pointwise::Laplace::value(Numbers{} + s), 1));
        if (kind == ChunkWeights::squared_relu)
          s = total_of(first_of(pointwise::SquaredRelu::value(Numbers{} + s), 1));
        workspace[b * C + j] = s;
      });
  if (kind == ChunkWeights::softmax)
    for_each(
        "weft::chunk_decode_softmax", S, KOKKOS_LAMBDA(std::int64_t b) {
          float* const s = workspace + b * C;
          float most = s[0], sum = 0;
          for (std::int64_t j = 1; j < n; ++j)
            most = s[j] > most ? s[j] : most;
          for_numbers(0, n, [&](std::int64_t j, std::int64_t count) {
            const Numbers e = exp_of(numbers_at(s + j, count) - most);
            put_numbers(s + j, e, count);
            sum += total_of(first_of(e, count));
          });
          for (std::int64_t j = 0; j < n; ++j)
            s[j] /= sum;
        });
  constexpr std::int64_t together = strip_width > 4 ? 32 : 1; // channels of a task
  const std::int64_t strips = (V + together - 1) / together;
  for_each(
      "weft::chunk_decode_values", S * strips, KOKKOS_LAMBDA(std::int64_t task) {
        const std::int64_t b = task / strips, c0 = task % strips * together;
        const float* const weights = workspace + b * C;
        for_numbers(c0, c0 + together < V ? c0 + together : V, [&](std::int64_t c, std::int64_t count) {
          Numbers sum = Numbers{};
          for (std::int64_t j = 0; j < n; ++j)
            sum = sum + weights[j] * numbers_at(values + (b * C + j) * V + c, count);
          put_numbers(out + b * V + c, sum, count);
        });
      });
}

#define WEFT_CHUNK_DECODE_OF(T)                                                                                        \
  template void chunk_decode(const ChunkDecode&, T*, const T*, T*, T*, const float*, std::int64_t, float*)
WEFT_FOR_EACH_STORAGE(WEFT_CHUNK_DECODE_OF);

} // namespace weft
