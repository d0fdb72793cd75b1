#include "kernels/pool/attention_pool.hpp"
#include "kernels/common/instantiate.hpp"
#include "kernels/pool/rows.hpp"
#include "kernels/sum/column_sums.hpp"

namespace weft {

namespace {
/// weights[S,N] = softmax of the seen scores; stats: two numbers for every block of every sequence.
void softmax_of_seen(float* weights, const float* scores, const std::uint32_t* seen, const PoolShape& shape,
                     float* stats) {
  const std::int64_t N = shape.length, words = seen_words(N), blocks = (N + pool_block - 1) / pool_block;
  for_each(
      "weft::attention_pool_blocks", shape.sequences * blocks, KOKKOS_LAMBDA(std::int64_t block) {
        const std::int64_t s = block / blocks, begin = block % blocks * pool_block;
        const std::int64_t end = begin + pool_block < N ? begin + pool_block : N;
        float top = -Kokkos::Experimental::infinity_v<float>, sum = 0;
        for (std::int64_t i = begin; i < end; ++i)
          if (is_seen(seen, words, s, i) && scores[s * N + i] > top)
            top = scores[s * N + i];
        for (std::int64_t i = begin; i < end; ++i)
          if (is_seen(seen, words, s, i))
            sum += fast_exp(scores[s * N + i] - top);
        stats[2 * block] = top;
        stats[2 * block + 1] = sum; // 0 where nothing is seen, NaN where a score is
      });
  for_each(
      "weft::attention_pool_weights", shape.sequences * blocks, KOKKOS_LAMBDA(std::int64_t block) {
        const std::int64_t s = block / blocks, begin = block % blocks * pool_block;
        const std::int64_t end = begin + pool_block < N ? begin + pool_block : N;
        const float* of = stats + 2 * s * blocks;
        float top = of[0], sum = 0;
        for (std::int64_t b = 1; b < blocks; ++b)
          top = of[2 * b] > top ? of[2 * b] : top;
        for (std::int64_t b = 0; b < blocks; ++b)
          if (of[2 * b + 1] != 0.0f)
            sum += of[2 * b + 1] * fast_exp(of[2 * b] - top);
        for (std::int64_t i = begin; i < end; ++i)
          weights[s * N + i] = is_seen(seen, words, s, i) ? fast_exp(scores[s * N + i] - top) / sum : 0.0f;
      });
}
} // namespace

template <class T>
void tanh_scores_forward(float* scores, const T* u, const float* v, std::int64_t rows, std::int64_t width) {
  for_each(
      "weft::tanh_scores_forward", rows, KOKKOS_LAMBDA(std::int64_t i) {
        scores[i] = sum_of_numbers(width, [&](std::int64_t j, std::int64_t count) {
          return numbers_at(v + j, count) * tanh_of(numbers_at(u + i * width + j, count));
        });
      });
}

template <class T>
void tanh_scores_backward(T* du, float* dv, const float* dscores, const T* u, const float* v, std::int64_t rows,
                          std::int64_t width, float* partial) {
  column_sums_of_pass(
      "weft::tanh_scores_backward", dv, rows, width, partial,
      KOKKOS_LAMBDA(float* sums, std::int64_t i, std::int64_t j0, std::int64_t columns) {
        const float d = dscores[i];
        const std::int64_t at = i * width + j0;
        for_numbers(0, columns, [&](std::int64_t j, std::int64_t count) {
          if (d == 0.0f) {
            put_numbers(du + at + j, Numbers{}, count);
            return;
          }
          const Numbers t = tanh_of(numbers_at(u + at + j, count));
          put_numbers(du + at + j, d * numbers_at(v + j0 + j, count) * (1.0f - t * t), count);
          put_numbers(sums + j, numbers_at(sums + j, count) + d * t, count);
        });
      });
}

template <class T>
void attention_pool_forward(T* out, float* weights, const T* x, const float* scores, const std::uint32_t* seen,
                            const PoolShape& shape, float* partial) {
  softmax_of_seen(weights, scores, seen, shape, partial);
  const std::int64_t N = shape.length;
  sum_of_rows(
      "weft::attention_pool_forward", out, x, shape, partial,
      KOKKOS_LAMBDA(std::int64_t s, std::int64_t i) { return weights[s * N + i]; },
      KOKKOS_LAMBDA(std::int64_t, Numbers sum) { return sum; });
}

template <class T>
void attention_pool_backward_scores(float* dscores, const T* dout, const T* x, const float* weights,
                                    const PoolShape& shape) {
  const std::int64_t N = shape.length, D = shape.width;
  for_rows(
      "weft::attention_pool_products", shape, KOKKOS_LAMBDA(std::int64_t s, std::int64_t row) {
        const T *left = dout + s * D, *right = x + row * D;
        dscores[row] = weights[row] == 0.0f ? 0.0f : sum_of_numbers(D, [&](std::int64_t j, std::int64_t count) {
          return numbers_at(left + j, count) * numbers_at(right + j, count);
        });
      });
  for_each(
      "weft::attention_pool_backward_scores", shape.sequences, KOKKOS_LAMBDA(std::int64_t s) {
        const float* weight = weights + s * N;
        float* to = dscores + s * N;
        const float mean = sum_of_numbers(N, [&](std::int64_t i, std::int64_t count) {
          return numbers_at(weight + i, count) * numbers_at(to + i, count);
        });
        for (std::int64_t i = 0; i < N; ++i)
          to[i] = weight[i] == 0.0f ? 0.0f : weight[i] * (to[i] - mean);
      });
}

template <class T>
void attention_pool_backward_rows(T* dx, const T* through, const T* dout, const float* weights,
                                  const PoolShape& shape) {
  const std::int64_t D = shape.width;
  for_rows(
      "weft::attention_pool_backward_rows", shape, KOKKOS_LAMBDA(std::int64_t s, std::int64_t row) {
        const float weight = weights[row];
        for_numbers(0, D, [&](std::int64_t j, std::int64_t count) {
          const std::int64_t at = row * D + j;
          Numbers d = through ? numbers_at(through + at, count) : Numbers{};
          if (weight != 0.0f)
            d = d + weight * numbers_at(dout + s * D + j, count);
          put_numbers(dx + at, d, count);
        });
      });
}

#define WEFT_ATTENTION_POOL_OF(T)                                                                                      \
  template void tanh_scores_forward(float*, const T*, const float*, std::int64_t, std::int64_t);                       \
  template void tanh_scores_backward(T*, float*, const float*, const T*, const float*, std::int64_t, std::int64_t,     \
                                     float*);                                                                          \
  template void attention_pool_forward(T*, float*, const T*, const float*, const std::uint32_t*, const PoolShape&,     \
                                       float*);                                                                        \
  template void attention_pool_backward_scores(float*, const T*, const T*, const float*, const PoolShape&);            \
  template void attention_pool_backward_rows(T*, const T*, const T*, const float*, const PoolShape&)
WEFT_FOR_EACH_STORAGE(WEFT_ATTENTION_POOL_OF);

} // namespace weft
