// Products of a few rows with a matrix that stays where it is over thousands of steps: the matrix is copied once into
// panels of four groups of numbers, so that a step reads it from the first to the last byte. Included by steps.hpp
// only.
#pragma once
#include "kernels/common/kokkos.hpp"
#include "kernels/common/numbers.hpp"

namespace weft::lstm {

constexpr int groups = 4;                            ///< of a panel: one for each gate
constexpr std::int64_t wide = groups * number_count; ///< columns of a panel
constexpr std::int64_t most_rows = 3;                ///< of a block in registers: 12 sums, the most that fit

/// Where a matrix of `depth` rows lies: row p of panel q begins at at + q between + p step.
struct Panels {
  float* at;
  std::int64_t depth, count, between, step;

  Panels(float* memory, std::int64_t rows, std::int64_t panels)
      : at(memory), depth(rows), count(panels),
#ifdef WEFT_CUDA
        between(wide), step(panels * wide) // neighbouring threads have neighbouring panels
#else
        between(rows * wide), step(wide)
#endif
  {
  }
  std::int64_t floats() const { return depth * count * wide; }
  KOKKOS_INLINE_FUNCTION float* panel(std::int64_t q) const { return at + q * between; }
};

/// How `rows` rows are cut into blocks of most_rows at most: no block of one row but where there is one only.
struct RowBlocks {
  std::int64_t rows;
  KOKKOS_INLINE_FUNCTION std::int64_t count() const { return (rows + most_rows - 1) / most_rows; }
  KOKKOS_INLINE_FUNCTION bool pairs_at_end() const { return rows > 1 && rows % most_rows == 1; }
  KOKKOS_INLINE_FUNCTION std::int64_t first(std::int64_t b) const {
    return pairs_at_end() && b + 1 == count() ? rows - 2 : b * most_rows;
  }
  KOKKOS_INLINE_FUNCTION std::int64_t size(std::int64_t b) const {
    if (pairs_at_end() && b + 2 >= count())
      return 2;
    return rows - b * most_rows < most_rows ? rows - b * most_rows : most_rows;
  }
};

#if defined(__CUDACC__)
#define WEFT_UNROLL_ROWS
#else
#define WEFT_UNROLL_ROWS _Pragma("GCC unroll 4")
#endif

/// s[r][g] = sum over p < depth of left[r ld + p] panel[p][g]. No closure over the sums: it would keep them in memory.
template <int rows>
KOKKOS_FORCEINLINE_FUNCTION void sums_of(Numbers (&s)[rows][groups], const float* left, std::int64_t ld,
                                         const float* panel, std::int64_t step, std::int64_t depth) {
  WEFT_UNROLL_ROWS
  for (int r = 0; r < rows; ++r)
    WEFT_UNROLL_ROWS
  for (int g = 0; g < groups; ++g)
    s[r][g] = Numbers{};
  for (std::int64_t p = 0; p < depth; ++p) {
    WEFT_UNROLL_ROWS
    for (int g = 0; g < groups; ++g) {
      const Numbers right = numbers_at(panel + p * step + g * number_count, number_count);
      WEFT_UNROLL_ROWS
      for (int r = 0; r < rows; ++r)
        s[r][g] = s[r][g] + left[r * ld + p] * right;
    }
  }
}

} // namespace weft::lstm
