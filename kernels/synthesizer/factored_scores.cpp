#include "kernels/synthesizer/factored_scores.hpp"
#include "kernels/common/instantiate.hpp"
#include "kernels/common/kokkos.hpp"
#include "kernels/common/numbers.hpp"

namespace weft {

template <class T>
void factor_rows_forward(const FactorShape& s, float* factors, const T* u, const float* bias, const float* w,
                         const float* c) {
  for_each(
      "weft::factor_rows_forward", s.rows * s.heads, KOKKOS_LAMBDA(std::int64_t task) {
        const std::int64_t row = task / s.heads, h = task % s.heads, n = s.numbers;
        float* to = factors + task * n;
        for (std::int64_t j = 0; j < n; ++j)
          to[j] = c[h * n + j];
        for (std::int64_t f = h * s.hidden; f < (h + 1) * s.hidden; ++f) {
          const float z = load(u[row * s.row_stride + f]) + bias[f];
          if (z <= 0)
            continue;
          for (std::int64_t j = 0; j < n; ++j)
            to[j] += z * w[f * n + j];
        }
      });
}

template <class T>
void factor_rows_backward(const FactorShape& s, T* du, float* dbias, float* dw, float* dc, const float* dfactors,
                          const T* u, const float* bias, const float* w) {
  for_each(
      "weft::factor_rows_backward", s.heads * (s.hidden + 1), KOKKOS_LAMBDA(std::int64_t task) {
        const std::int64_t h = task / (s.hidden + 1), own = task % (s.hidden + 1), n = s.numbers;
        const std::int64_t f = h * s.hidden + own;
        const bool constants = own == s.hidden;
        float* sums = constants ? dc + h * n : dw + f * n;
        for (std::int64_t j = 0; j < n; ++j)
          sums[j] = 0;
        float of_bias = 0;
        for (std::int64_t row = 0; row < s.rows; ++row) {
          const float* slopes = dfactors + (row * s.heads + h) * n;
          const float z = constants ? 1 : load(u[row * s.row_stride + f]) + bias[f];
          float slope = 0;
          if (!(z <= 0)) {
            for (std::int64_t j = 0; j < n; ++j)
              sums[j] += z * slopes[j];
            if (!constants)
              slope = sum_of_numbers(n, [&](std::int64_t j, std::int64_t count) {
                return numbers_at(w + f * n + j, count) * numbers_at(slopes + j, count);
              });
          }
          if (!constants)
            du[row * s.row_stride + f] = store<T>(slope);
          of_bias += slope;
        }
        if (!constants)
          dbias[f] = of_bias;
      });
}

template <class T>
void block_queries_forward(const FactoredShape& s, std::int64_t block, T* queries, const T* qkv, const float* alpha,
                           const float* beta) {
  for_each(
      "weft::block_queries_forward", s.sequences * s.length * s.heads, KOKKOS_LAMBDA(std::int64_t task) {
        const std::int64_t row = task / s.heads, h = task % s.heads;
        T* to = queries + task * (s.key_width + s.inner);
        for (std::int64_t e = 0; e < s.key_width; ++e)
          to[e] = qkv[row * s.row_stride + h * s.key_width + e];
        const float times = s.factor * beta[task * s.outer + block];
        for (std::int64_t r = 0; r < s.inner; ++r)
          to[s.key_width + r] = store<T>(times * alpha[task * s.inner + r]);
      });
}

template <class T>
void block_queries_backward(const FactoredShape& s, std::int64_t block, float* dq, float* dalpha, float* dbeta,
                            const T* dqueries, const float* alpha, const float* beta) {
  for_each(
      "weft::block_queries_backward", s.sequences * s.length * s.heads, KOKKOS_LAMBDA(std::int64_t task) {
        const T* from = dqueries + task * (s.key_width + s.inner);
        for (std::int64_t e = 0; e < s.key_width; ++e) {
          const std::int64_t at = task * s.key_width + e;
          dq[at] = (block == 0 ? 0 : dq[at]) + load(from[e]);
        }
        const float times = s.factor * beta[task * s.outer + block];
        float sum = 0;
        for (std::int64_t r = 0; r < s.inner; ++r) {
          const std::int64_t at = task * s.inner + r;
          const float slope = load(from[s.key_width + r]);
          dalpha[at] = (block == 0 ? 0 : dalpha[at]) + times * slope;
          sum += slope * alpha[at];
        }
        dbeta[task * s.outer + block] = s.factor * sum;
      });
}

template <class T>
void block_keys_forward(const FactoredShape& s, std::int64_t block, T* keys, const T* qkv) {
  const std::int64_t M = s.keys_of(block);
  for_each(
      "weft::block_keys_forward", s.sequences * M, KOKKOS_LAMBDA(std::int64_t task) {
        const T* from = qkv + s.key_at(block, task);
        T* to = keys + task * s.key_row();
        for (std::int64_t h = 0; h < s.heads; ++h, to += s.key_width + s.inner) {
          for (std::int64_t e = 0; e < s.key_width; ++e)
            to[e] = from[h * s.key_width + e];
          for (std::int64_t other = 0; other < s.inner; ++other)
            to[s.key_width + other] = store<T>(other == task % M ? 1.0f : 0.0f);
        }
        for (std::int64_t e = 0; e < s.heads * s.value_width; ++e)
          to[e] = from[s.heads * s.key_width + e];
      });
}

template <class T>
void block_keys_backward(const FactoredShape& s, std::int64_t block, T* dqkv, const T* dkeys) {
  for_each(
      "weft::block_keys_backward", s.sequences * s.keys_of(block), KOKKOS_LAMBDA(std::int64_t task) {
        T* to = dqkv + s.key_at(block, task);
        const T* from = dkeys + task * s.key_row();
        for (std::int64_t h = 0; h < s.heads; ++h, from += s.key_width + s.inner)
          for (std::int64_t e = 0; e < s.key_width; ++e)
            to[h * s.key_width + e] = from[e];
        for (std::int64_t e = 0; e < s.heads * s.value_width; ++e)
          to[s.heads * s.key_width + e] = from[e];
      });
}

template <class T>
void store_rows(std::int64_t rows, std::int64_t columns, T* to, std::int64_t row_stride, const float* from) {
  for_each(
      "weft::store_rows", rows, KOKKOS_LAMBDA(std::int64_t row) {
        for (std::int64_t e = 0; e < columns; ++e)
          to[row * row_stride + e] = store<T>(from[row * columns + e]);
      });
}

void block_bits(const FactoredShape& s, std::int64_t block, std::uint32_t* bits, const std::uint32_t* seen) {
  const std::int64_t words = (s.keys_of(block) + 31) / 32, all = (s.length + 31) / 32;
  for_each(
      "weft::block_bits", s.sequences * words, KOKKOS_LAMBDA(std::int64_t task) {
        bits[task] = seen[task / words * all + block * s.inner / 32 + task % words];
      });
}

template <class T>
void join_block(const FactoredShape& s, std::int64_t block, float* out, float* lse, const T* block_out,
                const float* block_lse) {
  for_each(
      "weft::join_block", s.sequences * s.heads * s.length, KOKKOS_LAMBDA(std::int64_t task) {
        const std::int64_t b = task / (s.heads * s.length), h = task / s.length % s.heads, i = task % s.length;
        const std::int64_t at = ((b * s.length + i) * s.heads + h) * s.value_width;
        constexpr float nothing = -Kokkos::Experimental::infinity_v<float>;
        const float before = block == 0 ? nothing : lse[task], here = block_lse[task];
        if (here == nothing) { // no key of the block is seen
          if (block == 0) {
            lse[task] = nothing;
            for (std::int64_t e = 0; e < s.value_width; ++e)
              out[at + e] = 0;
          }
          return;
        }
        const float top = before > here ? before : here;
        const float all = top + Kokkos::log(Kokkos::exp(before - top) + Kokkos::exp(here - top));
        const float old_share = Kokkos::exp(before - all), share = Kokkos::exp(here - all);
        lse[task] = all;
        for (std::int64_t e = 0; e < s.value_width; ++e)
          out[at + e] = (block == 0 ? 0 : old_share * out[at + e]) + share * load(block_out[at + e]);
      });
}

#define WEFT_FACTORED_SCORES_OF(T)                                                                                     \
  template void factor_rows_forward(const FactorShape&, float*, const T*, const float*, const float*, const float*);   \
  template void factor_rows_backward(const FactorShape&, T*, float*, float*, float*, const float*, const T*,           \
                                     const float*, const float*);                                                      \
  template void block_queries_forward(const FactoredShape&, std::int64_t, T*, const T*, const float*, const float*);   \
  template void block_queries_backward(const FactoredShape&, std::int64_t, float*, float*, float*, const T*,           \
                                       const float*, const float*);                                                    \
  template void block_keys_forward(const FactoredShape&, std::int64_t, T*, const T*);                                  \
  template void block_keys_backward(const FactoredShape&, std::int64_t, T*, const T*);                                 \
  template void store_rows(std::int64_t, std::int64_t, T*, std::int64_t, const float*);                                \
  template void join_block(const FactoredShape&, std::int64_t, float*, float*, const T*, const float*)
WEFT_FOR_EACH_STORAGE(WEFT_FACTORED_SCORES_OF);

} // namespace weft
