// The frame of a pass over a matrix that also sums columns: blocks of 64 rows, the block sums in order, so that the
// bits depend on nothing but the matrix.
#pragma once
#include "kernels/common/kokkos.hpp"
#include "kernels/sum/sum.hpp"

namespace weft {

/// Calls row(sums, i, j0, count) for pieces of row i, columns j0 .. j0 + count - 1, count <= strip_width; it adds what
/// is to be summed to sums[0 .. count). The rows of a block come in order. Overwrites out[columns]; partial as
/// column_sum's.
template <class Row>
void column_sums_of_pass(const char* label, float* out, std::int64_t rows, std::int64_t columns, float* partial,
                         const Row& row) {
  constexpr std::int64_t height = column_sum_block;
  const std::int64_t blocks = (rows + height - 1) / height, strips = (columns + strip_width - 1) / strip_width;
  // A host core goes along whole rows, as memory likes it; on a device neighbouring threads take neighbouring columns.
  const std::int64_t together = strip_width > 4 ? strips : 1;
  for_each(
      label, blocks * (strips / together), KOKKOS_LAMBDA(std::int64_t task) {
        const std::int64_t b = task / (strips / together), strip = task % (strips / together) * together;
        const std::int64_t end = (b + 1) * height < rows ? (b + 1) * height : rows;
        const std::int64_t first = strip * strip_width;
        const std::int64_t last =
            (strip + together) * strip_width < columns ? (strip + together) * strip_width : columns;
        float* sums = partial + b * columns;
        for (std::int64_t j = first; j < last; ++j)
          sums[j] = 0;
        for (std::int64_t i = b * height; i < end; ++i)
          for (std::int64_t j0 = first; j0 < last; j0 += strip_width)
            row(sums + j0, i, j0, j0 + strip_width < last ? strip_width : last - j0);
      });
  for_each_range(
      "weft::column_sums_of_blocks", columns, KOKKOS_LAMBDA(std::int64_t begin, std::int64_t end) {
        for (std::int64_t j = begin; j < end; ++j)
          out[j] = 0;
        for (std::int64_t b = 0; b < blocks; ++b)
          for (std::int64_t j = begin; j < end; ++j)
            out[j] += partial[b * columns + j];
      });
}

} // namespace weft
