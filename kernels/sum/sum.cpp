#include "kernels/sum/sum.hpp"
#include "kernels/common/kokkos.hpp"
#include <vector>

namespace weft {

template <class To, class From>
void convert(To* to, const From* from, std::int64_t n) {
  for_each(
      "weft::convert", n, KOKKOS_LAMBDA(std::int64_t i) { to[i] = store<To>(load(from[i])); });
}

void add_to(float* a, const float* b, std::int64_t n) { add(a, a, b, n); }

void add(float* out, const float* left, const float* right, std::int64_t n) {
  for_each(
      "weft::add", n, KOKKOS_LAMBDA(std::int64_t i) { out[i] = left[i] + right[i]; });
}

void scale(float* a, double factor, std::int64_t n) {
  const float f = static_cast<float>(factor);
  for_each(
      "weft::scale", n, KOKKOS_LAMBDA(std::int64_t i) { a[i] *= f; });
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
        double sum = 0;
        for (std::int64_t i = b * block; i < end; ++i)
          sum += static_cast<double>(a[i]) * a[i];
        sums(b) = sum;
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
  constexpr std::int64_t height = column_sum_block, width = 64;
  const std::int64_t blocks = (rows + height - 1) / height, strips = (columns + width - 1) / width;
  for_each(
      "weft::column_sum", blocks * strips, KOKKOS_LAMBDA(std::int64_t task) {
        const std::int64_t b = task / strips, j0 = task % strips * width;
        const std::int64_t end = (b + 1) * height < rows ? (b + 1) * height : rows;
        const std::int64_t w = j0 + width < columns ? width : columns - j0;
        float* to = partial + b * columns + j0;
        for (std::int64_t j = 0; j < w; ++j)
          to[j] = 0;
        for (std::int64_t i = b * height; i < end; ++i)
          for (std::int64_t j = 0; j < w; ++j)
            to[j] += load(a[i * columns + j0 + j]);
      });
  for_each(
      "weft::column_sum_blocks", columns, KOKKOS_LAMBDA(std::int64_t j) {
        float sum = 0;
        for (std::int64_t b = 0; b < blocks; ++b)
          sum += partial[b * columns + j];
        out[j] = sum;
      });
}

template void convert(float*, const bf16*, std::int64_t);
template void convert(bf16*, const float*, std::int64_t);
template std::int64_t first_nonfinite(const float*, std::int64_t);
template std::int64_t first_nonfinite(const bf16*, std::int64_t);
template void column_sum(float*, const float*, std::int64_t, std::int64_t, float*);
template void column_sum(float*, const bf16*, std::int64_t, std::int64_t, float*);

} // namespace weft
