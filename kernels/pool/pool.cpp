#include "kernels/pool/pool.hpp"
#include "kernels/common/instantiate.hpp"
#include "kernels/pool/rows.hpp"

namespace weft {

namespace {
/// The last seen row of sequence s; -1: none.
KOKKOS_INLINE_FUNCTION std::int64_t last_seen(const std::uint32_t* seen, std::int64_t length, std::int64_t s) {
  const std::int64_t words = seen_words(length);
  std::int64_t i = length - 1;
  while (i >= 0 && !is_seen(seen, words, s, i))
    --i;
  return i;
}

/// out[s,:] = row row_of(s) of sequence s; zeros where that is -1.
template <class T, class RowOf>
void copy_row(const char* label, T* out, const T* x, const PoolShape& shape, const RowOf& row_of) {
  const std::int64_t N = shape.length, D = shape.width;
  for_each(
      label, shape.sequences, KOKKOS_LAMBDA(std::int64_t s) {
        const std::int64_t i = row_of(s);
        for (std::int64_t j = 0; j < D; ++j)
          out[s * D + j] = i >= 0 ? x[(s * N + i) * D + j] : store<T>(0.0f);
      });
}
} // namespace

template <class T>
void pool_first_forward(T* out, const T* x, const PoolShape& shape) {
  copy_row(
      "weft::pool_first_forward", out, x, shape, KOKKOS_LAMBDA(std::int64_t)->std::int64_t { return 0; });
}

template <class T>
void pool_first_backward(T* dx, const T* dout, const PoolShape& shape) {
  const std::int64_t N = shape.length, D = shape.width;
  for_rows(
      "weft::pool_first_backward", shape, KOKKOS_LAMBDA(std::int64_t s, std::int64_t row) {
        for (std::int64_t j = 0; j < D; ++j)
          dx[row * D + j] = row == s * N ? dout[s * D + j] : store<T>(0.0f);
      });
}

template <class T>
void pool_last_forward(T* out, const T* x, const std::uint32_t* seen, const PoolShape& shape) {
  const std::int64_t N = shape.length;
  copy_row(
      "weft::pool_last_forward", out, x, shape, KOKKOS_LAMBDA(std::int64_t s) { return last_seen(seen, N, s); });
}

template <class T>
void pool_last_backward(T* dx, const T* dout, const std::uint32_t* seen, const PoolShape& shape) {
  const std::int64_t N = shape.length, D = shape.width;
  for_each(
      "weft::pool_last_backward", shape.sequences, KOKKOS_LAMBDA(std::int64_t s) {
        const std::int64_t last = last_seen(seen, N, s);
        for (std::int64_t i = 0; i < N; ++i)
          for (std::int64_t j = 0; j < D; ++j)
            dx[(s * N + i) * D + j] = i == last ? dout[s * D + j] : store<T>(0.0f);
      });
}

template <class T>
void pool_mean_forward(T* out, const T* x, const std::uint32_t* seen, float divisor, const PoolShape& shape,
                       float* partial) {
  const std::int64_t N = shape.length, words = seen_words(N);
  sum_of_rows(
      "weft::pool_mean_forward", out, x, shape, partial,
      KOKKOS_LAMBDA(std::int64_t s, std::int64_t i) { return is_seen(seen, words, s, i) ? 1.0f : 0.0f; },
      KOKKOS_LAMBDA(std::int64_t s, Numbers sum) {
        const float by = divisor_of(seen, N, s, divisor);
        return by == 0.0f ? Numbers{} : sum / by;
      });
}

template <class T>
void pool_mean_backward(T* dx, const T* dout, const std::uint32_t* seen, float divisor, const PoolShape& shape) {
  const std::int64_t N = shape.length, D = shape.width, words = seen_words(N);
  const std::int64_t blocks = (N + pool_block - 1) / pool_block;
  for_each(
      "weft::pool_mean_backward", shape.sequences * blocks, KOKKOS_LAMBDA(std::int64_t block) {
        const std::int64_t s = block / blocks, begin = block % blocks * pool_block;
        const std::int64_t end = begin + pool_block < N ? begin + pool_block : N;
        const float by = divisor_of(seen, N, s, divisor);
        for (std::int64_t i = begin; i < end; ++i) {
          T* to = dx + (s * N + i) * D;
          const bool counts = is_seen(seen, words, s, i);
          for_numbers(0, D, [&](std::int64_t j, std::int64_t count) {
            put_numbers(to + j, counts ? numbers_at(dout + s * D + j, count) / by : Numbers{}, count);
          });
        }
      });
}

#define WEFT_POOL_OF(T)                                                                                                \
  template void pool_first_forward(T*, const T*, const PoolShape&);                                                    \
  template void pool_first_backward(T*, const T*, const PoolShape&);                                                   \
  template void pool_last_forward(T*, const T*, const std::uint32_t*, const PoolShape&);                               \
  template void pool_last_backward(T*, const T*, const std::uint32_t*, const PoolShape&);                              \
  template void pool_mean_forward(T*, const T*, const std::uint32_t*, float, const PoolShape&, float*);                \
  template void pool_mean_backward(T*, const T*, const std::uint32_t*, float, const PoolShape&)
WEFT_FOR_EACH_STORAGE(WEFT_POOL_OF);

} // namespace weft
