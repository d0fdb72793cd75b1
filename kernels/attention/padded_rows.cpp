#include "kernels/attention/padded_rows.hpp"
#include "kernels/common/instantiate.hpp"
#include "kernels/common/kokkos.hpp"
#include "kernels/common/numbers.hpp"

namespace weft {

namespace {
KOKKOS_INLINE_FUNCTION bool padded(const std::uint32_t* seen, std::int64_t length, std::int64_t b, std::int64_t i) {
  return (seen[b * ((length + 31) / 32) + i / 32] >> (i % 32) & 1u) == 0;
}

/// work(b, c, j0, j1) for every sequence, every set and every strip of its H Ev columns: strips are independent, rows
/// keep their order.
template <class Work>
void for_strips(const char* label, const AttentionShape& shape, std::int64_t sets, const Work& work) {
  const std::int64_t C = shape.heads * shape.value_width, strips = (C + strip_width - 1) / strip_width;
  for_each(
      label, shape.batch * sets * strips, KOKKOS_LAMBDA(std::int64_t task) {
        const std::int64_t j0 = task % strips * strip_width, set = task / strips;
        work(set / sets, set % sets, j0, j0 + strip_width < C ? j0 + strip_width : C);
      });
}

/// work(b, c, j0, j1, sum): the same, with a place in the workspace for the sums of the set's columns, which are 0.
template <class Work>
void for_sums(const char* label, const AttentionShape& shape, std::int64_t sets, float* workspace, const Work& work) {
  const std::int64_t C = shape.heads * shape.value_width;
  for_strips(
      label, shape, sets, KOKKOS_LAMBDA(std::int64_t b, std::int64_t c, std::int64_t j0, std::int64_t j1) {
        float* sum = workspace + (b * sets + c) * C;
        for (std::int64_t j = j0; j < j1; ++j)
          sum[j] = 0;
        work(b, c, j0, j1, sum);
      });
}
} // namespace

template <class T>
void padded_rows_forward(const AttentionShape& shape, T* out, const T* v, const std::uint32_t* seen, float* workspace,
                         std::int64_t sets) {
  const std::int64_t N = shape.length, in = shape.row_stride_qkv, to = shape.row_stride_out;
  const float share = 1.0f / static_cast<float>(N / sets);
  for_sums(
      "weft::padded_rows_forward", shape, sets, workspace,
      KOKKOS_LAMBDA(std::int64_t b, std::int64_t c, std::int64_t j0, std::int64_t j1, float* sum) {
        for (std::int64_t i = c; i < N; i += sets)
          for_numbers(j0, j1, [&](std::int64_t j, std::int64_t count) {
            put_numbers(sum + j, numbers_at(sum + j, count) + numbers_at(v + (b * N + i) * in + j, count), count);
          });
        for (std::int64_t i = c; i < N; i += sets)
          if (padded(seen, N, b, i))
            for_numbers(j0, j1, [&](std::int64_t j, std::int64_t count) {
              put_numbers(out + (b * N + i) * to + j, share * numbers_at(sum + j, count), count);
            });
      });
}

template <class T>
void padded_rows_take(const AttentionShape& shape, T* dout, const std::uint32_t* seen, float* workspace,
                      std::int64_t sets) {
  const std::int64_t N = shape.length, stride = shape.row_stride_out;
  for_sums(
      "weft::padded_rows_take", shape, sets, workspace,
      KOKKOS_LAMBDA(std::int64_t b, std::int64_t c, std::int64_t j0, std::int64_t j1, float* sum) {
        for (std::int64_t i = c; i < N; i += sets)
          if (padded(seen, N, b, i))
            for_numbers(j0, j1, [&](std::int64_t j, std::int64_t count) {
              T* row = dout + (b * N + i) * stride + j;
              put_numbers(sum + j, numbers_at(sum + j, count) + numbers_at(row, count), count);
              put_numbers(row, Numbers{}, count);
            });
      });
}

template <class T>
void padded_rows_give(const AttentionShape& shape, T* dv, const float* workspace, std::int64_t sets) {
  const std::int64_t N = shape.length, C = shape.heads * shape.value_width, stride = shape.row_stride_qkv;
  const float share = 1.0f / static_cast<float>(N / sets);
  for_strips(
      "weft::padded_rows_give", shape, sets,
      KOKKOS_LAMBDA(std::int64_t b, std::int64_t c, std::int64_t j0, std::int64_t j1) {
        for (std::int64_t i = c; i < N; i += sets)
          for_numbers(j0, j1, [&](std::int64_t j, std::int64_t count) {
            T* row = dv + (b * N + i) * stride + j;
            put_numbers(row, numbers_at(row, count) + share * numbers_at(workspace + (b * sets + c) * C + j, count),
                        count);
          });
      });
}

template <class T>
void padded_rows_clear(const AttentionShape& shape, T* x, const std::uint32_t* seen) {
  const std::int64_t N = shape.length, C = shape.heads * shape.value_width, stride = shape.row_stride_out;
  for_each(
      "weft::padded_rows_clear", shape.batch * N, KOKKOS_LAMBDA(std::int64_t row) {
        if (padded(seen, N, row / N, row % N))
          for_numbers(0, C,
                      [&](std::int64_t j, std::int64_t count) { put_numbers(x + row * stride + j, Numbers{}, count); });
      });
}

#define WEFT_PADDED_ROWS_OF(T)                                                                                         \
  template void padded_rows_forward(const AttentionShape&, T*, const T*, const std::uint32_t*, float*, std::int64_t);  \
  template void padded_rows_take(const AttentionShape&, T*, const std::uint32_t*, float*, std::int64_t);               \
  template void padded_rows_give(const AttentionShape&, T*, const float*, std::int64_t);                               \
  template void padded_rows_clear(const AttentionShape&, T*, const std::uint32_t*)
WEFT_FOR_EACH_STORAGE(WEFT_PADDED_ROWS_OF);

} // namespace weft
