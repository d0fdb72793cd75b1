// Small products of fp32 tiles for a team: on a host one thread with vector registers, on a device a block of threads
// with one number each. Every sum runs over its index in ascending order. Included by .cpp files under kernels/
// only.
#pragma once
#include "kernels/common/kokkos.hpp"
#include "kernels/common/numbers.hpp"
#include "kernels/common/team.hpp"

/// nvcc unrolls loops with known ends by itself, and its host compiler warns of its own pragma.
#if defined(__CUDACC__)
#define WEFT_UNROLL
#else
#define WEFT_UNROLL _Pragma("GCC unroll 4")
#endif

namespace weft::tiles {

using Policy = Kokkos::TeamPolicy<Space, Kokkos::Schedule<Kokkos::Dynamic>, Kokkos::IndexType<std::int64_t>>;
using Member = Policy::member_type;

#ifdef WEFT_CUDA
constexpr int team_size = 256, scratch_level = 0;
constexpr std::int64_t scratch_limit = 48 * 1024; ///< bytes that every GPU gives a block
constexpr int side_by_side = 1;                   ///< groups of numbers in a row that a product keeps in registers
#else
constexpr int team_size = 1, scratch_level = 1;
constexpr std::int64_t scratch_limit = 1 << 20; ///< about a core's second cache
constexpr int side_by_side = 3;
#endif
constexpr int rows_together = 4; ///< and rows

/// Numbers in a row of a tile: whole groups.
KOKKOS_INLINE_FUNCTION constexpr std::int64_t padded(std::int64_t width) { return padded_to_lanes(width); }

/// body(member, scratch, task) for every task; `floats` of scratch memory for each.
template <class Body>
void for_tasks(const char* label, std::int64_t tasks, std::int64_t floats, const Body& body) {
  const int bytes = static_cast<int>(floats * static_cast<std::int64_t>(sizeof(float)));
  Kokkos::parallel_for(
      label, Policy(tasks, team_size).set_scratch_size(scratch_level, Kokkos::PerTeam(bytes)),
      KOKKOS_LAMBDA(const Member& member) {
        body(member, static_cast<float*>(member.team_scratch(static_cast<int>(scratch_level)).get_shmem(bytes)),
             member.league_rank());
      });
}

/// body(row, column, count) for the groups of numbers of rows x width, then a barrier.
template <class Body>
KOKKOS_INLINE_FUNCTION void each_group(const Member& member, std::int64_t rows, std::int64_t width, const Body& body) {
#ifdef WEFT_CUDA
  const std::int64_t groups = (width + number_count - 1) / number_count;
  each(member, rows * groups, [&](std::int64_t n) {
    const std::int64_t column = n % groups * number_count, left = width - column;
    body(n / groups, column, left < number_count ? left : number_count);
  });
#else
  static_cast<void>(member);
  for (std::int64_t r = 0; r < rows; ++r)
    for_numbers(0, width, [&](std::int64_t column, std::int64_t count) { body(r, column, count); });
#endif
}

/// Rows or columns of a matrix: element (i, p) lies at at[i * row + p * step].
struct Left {
  const float* at;
  std::int64_t row, step;
};

/// Which p a row i of a product sums over: all; p <= i; p >= i. What is left out is not read.
enum class Sum { all, up_to_row, from_row };

/// Rows first .. last of a block of sums get their term p. No closure over the sums: it would keep them in memory.
template <int rows, int groups>
KOKKOS_FORCEINLINE_FUNCTION void add_term(Numbers (&s)[rows][groups], int first, int last, const float* left,
                                          const Left& a, const float* b, std::int64_t ld_b, std::int64_t p) {
  Numbers right[groups];
  WEFT_UNROLL
  for (int g = 0; g < groups; ++g)
    right[g] = numbers_at(b + p * ld_b + g * number_count, number_count);
  WEFT_UNROLL
  for (int r = 0; r < rows; ++r)
    if (first <= r && r <= last) {
      const float l = left[r * a.row + p * a.step];
      WEFT_UNROLL
      for (int g = 0; g < groups; ++g)
        s[r][g] = s[r][g] + l * right[g];
    }
}

/// rows x (groups of numbers) of a product, in registers: all indices into them are known to the compiler.
template <int rows, int groups>
KOKKOS_INLINE_FUNCTION void product_block(float* out, std::int64_t ld_out, const Left& a, const float* b,
                                          std::int64_t ld_b, std::int64_t i0, std::int64_t depth, Sum sum, bool add) {
  Numbers s[rows][groups];
  WEFT_UNROLL
  for (int r = 0; r < rows; ++r)
    WEFT_UNROLL
  for (int g = 0; g < groups; ++g)
    s[r][g] = add ? numbers_at(out + r * ld_out + g * number_count, number_count) : Numbers{};
  const float* left = a.at + i0 * a.row;
  std::int64_t p = 0, end = depth;
  if (sum == Sum::from_row) { // p = i0 + q belongs to the rows 0 .. q
    WEFT_UNROLL
    for (int q = 0; q < rows; ++q)
      if (i0 + q < depth)
        add_term(s, 0, q, left, a, b, ld_b, i0 + q);
    p = i0 + rows;
  }
  if (sum == Sum::up_to_row)
    end = i0 < depth ? i0 : depth;
  for (; p < end; ++p)
    add_term(s, 0, rows - 1, left, a, b, ld_b, p);
  if (sum == Sum::up_to_row) {
    WEFT_UNROLL
    for (int q = 0; q < rows; ++q)
      if (i0 + q < depth)
        add_term(s, q, rows - 1, left, a, b, ld_b, i0 + q);
  }
  WEFT_UNROLL
  for (int r = 0; r < rows; ++r)
    WEFT_UNROLL
  for (int g = 0; g < groups; ++g)
    put_numbers(out + r * ld_out + g * number_count, s[r][g], number_count);
}

template <int groups>
KOKKOS_INLINE_FUNCTION void product_rows(std::int64_t rows, float* out, std::int64_t ld_out, const Left& a,
                                         const float* b, std::int64_t ld_b, std::int64_t i0, std::int64_t depth,
                                         Sum sum, bool add) {
  if (rows >= 4)
    return product_block<4, groups>(out, ld_out, a, b, ld_b, i0, depth, sum, add);
  if (rows == 3)
    return product_block<3, groups>(out, ld_out, a, b, ld_b, i0, depth, sum, add);
  if (rows == 2)
    return product_block<2, groups>(out, ld_out, a, b, ld_b, i0, depth, sum, add);
  product_block<1, groups>(out, ld_out, a, b, ld_b, i0, depth, sum, add);
}

/// out[rows, columns] = (add: +=) sum over p < depth of a(i, p) b[p, columns], then a barrier. Rows of out and b are
/// ld_out and ld_b apart and reach to the end of the last group of numbers.
KOKKOS_INLINE_FUNCTION void product(const Member& member, float* out, std::int64_t ld_out, std::int64_t rows,
                                    std::int64_t columns, const Left& a, std::int64_t depth, const float* b,
                                    std::int64_t ld_b, bool add, Sum sum = Sum::all) {
  constexpr std::int64_t wide = side_by_side * number_count;
  const std::int64_t strips = (columns + wide - 1) / wide, blocks = (rows + rows_together - 1) / rows_together;
  each(member, strips * blocks, [&](std::int64_t n) {
    const std::int64_t i0 = n % blocks * rows_together, j0 = n / blocks * wide;
    const std::int64_t left = (columns - j0 + number_count - 1) / number_count;
    float* to = out + i0 * ld_out + j0;
#ifdef WEFT_CUDA
    static_cast<void>(left);
    product_rows<1>(rows - i0, to, ld_out, a, b + j0, ld_b, i0, depth, sum, add);
#else
    if (left >= 3)
      product_rows<3>(rows - i0, to, ld_out, a, b + j0, ld_b, i0, depth, sum, add);
    else if (left == 2)
      product_rows<2>(rows - i0, to, ld_out, a, b + j0, ld_b, i0, depth, sum, add);
    else
      product_rows<1>(rows - i0, to, ld_out, a, b + j0, ld_b, i0, depth, sum, add);
#endif
  });
}

/// out[columns, rows] = in[rows, columns], then a barrier; zeros behind the last row up to a whole group.
KOKKOS_INLINE_FUNCTION void transpose(const Member& member, float* out, std::int64_t ld_out, const float* in,
                                      std::int64_t ld_in, std::int64_t rows, std::int64_t columns) {
  const std::int64_t end = (rows + number_count - 1) / number_count * number_count;
#ifdef WEFT_CUDA
  each(member, columns * end, [&](std::int64_t n) {
    const std::int64_t j = n / end, i = n % end;
    out[j * ld_out + i] = i < rows ? in[i * ld_in + j] : 0.0f;
  });
#else
  static_cast<void>(member);
  for (std::int64_t j = 0; j < columns; ++j)
    for (std::int64_t i = 0; i < end; ++i)
      out[j * ld_out + i] = i < rows ? in[i * ld_in + j] : 0.0f;
#endif
}

KOKKOS_INLINE_FUNCTION bool is_seen(const std::uint32_t* seen, std::int64_t words, std::int64_t b, std::int64_t i) {
  return !seen || (seen[b * words + i / 32] >> (i % 32) & 1u) != 0;
}

} // namespace weft::tiles
