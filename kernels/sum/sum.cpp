#include "kernels/sum/sum.hpp"
#include "kernels/common/instantiate.hpp"
#include "kernels/common/numbers.hpp"
#include "kernels/sum/column_sums.hpp"
#include <vector>

namespace weft {

template <class To, class From>
void convert(To* to, const From* from, std::int64_t n) {
  for_each_range(
      "weft::convert", n, KOKKOS_LAMBDA(std::int64_t begin, std::int64_t end) {
        for_numbers(begin, end, [&](std::int64_t i, std::int64_t count) {
          put_numbers(to + i, numbers_at(from + i, count), count);
        });
      });
}

void add_to(float* a, const float* b, std::int64_t n) { add(a, a, b, n); }

void add(float* out, const float* left, const float* right, std::int64_t n) {
  for_each_range(
      "weft::add", n, KOKKOS_LAMBDA(std::int64_t begin, std::int64_t end) {
        WEFT_INDEPENDENT
        for (std::int64_t i = begin; i < end; ++i)
          out[i] = left[i] + right[i];
      });
}

void add_to_rows(float* a, const float* b, std::int64_t rows, std::int64_t columns) {
  for_each(
      "weft::add_to_rows", rows, KOKKOS_LAMBDA(std::int64_t i) {
        float* row = a + i * columns;
        WEFT_INDEPENDENT
        for (std::int64_t j = 0; j < columns; ++j)
          row[j] += b[j];
      });
}

void scale(float* a, double factor, std::int64_t n) {
  const float f = static_cast<float>(factor);
  for_each_range(
      "weft::scale", n, KOKKOS_LAMBDA(std::int64_t begin, std::int64_t end) {
        WEFT_INDEPENDENT
        for (std::int64_t i = begin; i < end; ++i)
          a[i] *= f;
      });
}

double sum_of_squares(const float* a, std::int64_t n) {
  // One partial sum per block of a fixed size, then the partial sums in order: the threads only share out the blocks.
  constexpr std::int64_t block = 4096;
  const std::int64_t blocks = (n + block - 1) / block;
  static Kokkos::View<double*, Space>* partial = nullptr;
  if (!partial || static_cast<std::int64_t>(partial->extent(0)) < blocks) {
    delete partial;
    partial = new Kokkos::View<double*, Space>("weft::sum_of_squares", blocks);
    Kokkos::push_finalize_hook([] { delete std::exchange(partial, nullptr); });
  }
  const auto sums = *partial;
  for_each(
      "weft::sum_of_squares", blocks, KOKKOS_LAMBDA(std::int64_t b) {
        const std::int64_t end = (b + 1) * block < n ? (b + 1) * block : n;
        constexpr int lanes = 8; // sums side by side, which a vector holds
        double sum[lanes] = {};
        std::int64_t i = b * block;
        for (; i + lanes <= end; i += lanes)
          for (int v = 0; v < lanes; ++v)
            sum[v] += static_cast<double>(a[i + v]) * a[i + v];
        for (int v = 0; i < end; ++i, ++v)
          sum[v] += static_cast<double>(a[i]) * a[i];
        sums(b) = ((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7]));
      });
  std::vector<double> host(static_cast<std::size_t>(blocks));
  Kokkos::deep_copy(Kokkos::View<double*, Kokkos::HostSpace, Kokkos::MemoryUnmanaged>(host.data(), blocks),
                    Kokkos::subview(sums, Kokkos::pair<std::int64_t, std::int64_t>(0, blocks)));
  double sum = 0;
  for (double s : host)
    sum += s;
  return sum;
}

template <class T>
std::int64_t first_nonfinite(const T* a, std::int64_t n) {
  std::int64_t first = n;
  Kokkos::parallel_reduce(
      "weft::first_nonfinite", Kokkos::RangePolicy<Space, Kokkos::IndexType<std::int64_t>>(0, n),
      KOKKOS_LAMBDA(std::int64_t i, std::int64_t & least) {
        const float x = load(a[i]);
        if (!(x - x == 0.0f) && i < least)
          least = i;
      },
      Kokkos::Min<std::int64_t>(first));
  return first < n ? first : -1;
}

template <class T>
void column_sum(float* out, const T* a, std::int64_t rows, std::int64_t columns, float* partial) {
  column_sums_of_pass(
      "weft::column_sum", out, rows, columns, partial,
      KOKKOS_LAMBDA(float* sums, std::int64_t i, std::int64_t j0, std::int64_t width) {
        for_numbers(0, width, [&](std::int64_t j, std::int64_t count) {
          put_numbers(sums + j, numbers_at(sums + j, count) + numbers_at(a + i * columns + j0 + j, count), count);
        });
      });
}

template void convert(float*, const float*, std::int64_t);
template void convert(float*, const bf16*, std::int64_t);
template void convert(float*, const fp16*, std::int64_t);
template void convert(bf16*, const float*, std::int64_t);
template void convert(fp16*, const float*, std::int64_t);
#define WEFT_SUM_OF(T)                                                                                                 \
  template std::int64_t first_nonfinite(const T*, std::int64_t);                                                       \
  template void column_sum(float*, const T*, std::int64_t, std::int64_t, float*)
WEFT_FOR_EACH_STORAGE(WEFT_SUM_OF);

} // namespace weft
