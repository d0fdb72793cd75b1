#include "kernels/gemm/few_rows.hpp"
#include "kernels/common/exponential.hpp"
#include "kernels/common/kokkos.hpp"
#include "kernels/common/lanes.hpp"

namespace weft {

namespace {
template <class Out>
KOKKOS_INLINE_FUNCTION void finish(Out* y, float sum, const float* b, std::int64_t column, RowsEnd end, const Out* r) {
  const Out u = store<Out>(b ? sum + b[column] : sum);
  if (end == RowsEnd::activation) {
    const float x = load(u);
    *y = store<Out>(x / (1.0f + fast_exp(-1.702f * x)));
  } else {
    *y = end == RowsEnd::residual ? store<Out>(load(*r) + load(u)) : u;
  }
}

/// R rows of x times one strip, every sum in registers.
template <int R, class T>
KOKKOS_INLINE_FUNCTION void strip_product(float* sums, const T* x, const T* strip, std::int64_t inputs) {
  constexpr int columns = strip_columns / lane_count;
  Lanes sum[R][columns] = {};
  for (std::int64_t k = 0; k < inputs; ++k)
    for (int r = 0; r < R; ++r) {
      const float left = load(x[r * inputs + k]);
      for (int c = 0; c < columns; ++c)
        sum[r][c] = sum[r][c] + left * lanes_at(strip + k * strip_columns + c * lane_count);
    }
  for (int r = 0; r < R; ++r)
    for (int c = 0; c < columns; ++c)
      put_lanes(sums + r * strip_columns + c * lane_count, sum[r][c]);
}
} // namespace

namespace {
template <class T>
void fill_strips(T* to, const float* w, std::int64_t k, std::int64_t n) {
  const std::int64_t strips = (n + strip_columns - 1) / strip_columns;
  for_each(
      "weft::strips", strips * k, KOKKOS_LAMBDA(std::int64_t task) {
        const std::int64_t strip = task / k, row = task % k;
        for (std::int64_t c = 0; c < strip_columns; ++c) {
          const std::int64_t column = strip * strip_columns + c;
          to[task * strip_columns + c] = store<T>(column < n ? w[row * n + column] : 0.0f);
        }
      });
}
} // namespace

template <class T>
StripMatrix<T>::StripMatrix(const float* w, std::int64_t k, std::int64_t n) : inputs(k), outputs(n) {
  const std::int64_t strips = (n + strip_columns - 1) / strip_columns;
  values = Buffer<T>(strips * strip_columns * k, "weights in strips");
  fill_strips(values.data(), w, k, n); // apart: CUDA takes no device lambda in a constructor
}

template <class T, class Out>
void few_rows_forward(const StripMatrix<T>& w, std::int64_t rows, Out* y, const T* x, const float* b, RowsEnd end,
                      const Out* r) {
  const std::int64_t k = w.inputs, n = w.outputs, strips = (n + strip_columns - 1) / strip_columns;
  const T* values = w.values.data();
#ifdef WEFT_CUDA
  for_each(
      "weft::few_rows_forward", rows * n, KOKKOS_LAMBDA(std::int64_t task) {
        const std::int64_t row = task / n, column = task % n;
        const T* strip = values + column / strip_columns * strip_columns * k + column % strip_columns;
        float sum = 0;
        for (std::int64_t i = 0; i < k; ++i)
          sum += load(x[row * k + i]) * load(strip[i * strip_columns]);
        finish(y + task, sum, b, column, end, r + task);
      });
  (void)strips;
#else
  for_each(
      "weft::few_rows_forward", strips, KOKKOS_LAMBDA(std::int64_t strip) {
        const T* from = values + strip * strip_columns * k;
        float sums[2 * strip_columns];
        for (std::int64_t row = 0; row < rows; row += 2) {
          const std::int64_t count = row + 2 <= rows ? 2 : 1;
          if (count == 2)
            strip_product<2>(sums, x + row * k, from, k);
          else
            strip_product<1>(sums, x + row * k, from, k);
          for (std::int64_t s = 0; s < count; ++s)
            for (std::int64_t c = 0; c < strip_columns && strip * strip_columns + c < n; ++c) {
              const std::int64_t column = strip * strip_columns + c, at = (row + s) * n + column;
              finish(y + at, sums[s * strip_columns + c], b, column, end, r ? r + at : nullptr);
            }
        }
      });
#endif
}

template struct StripMatrix<float>;
template struct StripMatrix<bf16>;
template struct StripMatrix<fp16>;
template void few_rows_forward(const StripMatrix<float>&, std::int64_t, float*, const float*, const float*, RowsEnd,
                               const float*);
template void few_rows_forward(const StripMatrix<bf16>&, std::int64_t, bf16*, const bf16*, const float*, RowsEnd,
                               const bf16*);
template void few_rows_forward(const StripMatrix<fp16>&, std::int64_t, fp16*, const fp16*, const float*, RowsEnd,
                               const fp16*);
template void few_rows_forward(const StripMatrix<bf16>&, std::int64_t, float*, const bf16*, const float*, RowsEnd,
                               const float*);
template void few_rows_forward(const StripMatrix<fp16>&, std::int64_t, float*, const fp16*, const float*, RowsEnd,
                               const float*);

} // namespace weft
