// Small products of fp32 tiles for a team: on a host one thread with vector registers, on a device a block of threads
// with one number each. Every sum runs over its index in ascending order. Included by .cpp files under kernels/
// only.
#pragma once
#include "kernels/common/host_product.hpp"
#include "kernels/common/isa.hpp"
#include "kernels/common/kokkos.hpp"
#include "kernels/common/numbers.hpp"
#include "kernels/common/team.hpp"

namespace weft::tiles {

using Policy = Kokkos::TeamPolicy<Space, Kokkos::Schedule<Kokkos::Dynamic>, Kokkos::IndexType<std::int64_t>>;
using Member = Policy::member_type;

#ifdef WEFT_CUDA
constexpr int team_size = 256, scratch_level = 0;
constexpr std::int64_t scratch_limit = 48 * 1024; ///< bytes that every GPU gives a block
#else
constexpr int team_size = 1, scratch_level = 1;
constexpr std::int64_t scratch_limit = 1 << 20; ///< about a core's second cache
#endif
constexpr int rows_together = 4; ///< rows of a product that a thread of a device takes

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

#ifdef WEFT_CUDA
/// Four rows of one column of a product, in registers.
template <int rows>
KOKKOS_INLINE_FUNCTION void product_block(float* out, std::int64_t ld_out, const Left& a, const float* b,
                                          std::int64_t ld_b, std::int64_t i0, std::int64_t depth, Sum sum, bool add) {
  float s[rows];
  for (int r = 0; r < rows; ++r)
    s[r] = add ? out[r * ld_out] : 0.0f;
  const float* left = a.at + i0 * a.row;
  const std::int64_t begin = sum == Sum::from_row ? i0 : 0;
  const std::int64_t end = sum == Sum::up_to_row && i0 + rows < depth ? i0 + rows : depth;
  for (std::int64_t p = begin; p < end; ++p) {
    const float right = b[p * ld_b];
    for (int r = 0; r < rows; ++r)
      if ((sum != Sum::from_row || p >= i0 + r) && (sum != Sum::up_to_row || p <= i0 + r))
        s[r] += left[r * a.row + p * a.step] * right;
  }
  for (int r = 0; r < rows; ++r)
    out[r * ld_out] = s[r];
}
#endif

/// out[rows, columns] = (add: +=) sum over p < depth of a(i, p) b[p, columns], then a barrier. Rows of out and b are
/// ld_out and ld_b apart and reach to the end of the last group of numbers.
KOKKOS_INLINE_FUNCTION void product(const Member& member, float* out, std::int64_t ld_out, std::int64_t rows,
                                    std::int64_t columns, const Left& a, std::int64_t depth, const float* b,
                                    std::int64_t ld_b, bool add, Sum sum = Sum::all) {
#ifdef WEFT_CUDA
  const std::int64_t blocks = (rows + rows_together - 1) / rows_together;
  each(member, columns * blocks, [&](std::int64_t n) {
    const std::int64_t i0 = n % blocks * rows_together, j = n / blocks;
    float* to = out + i0 * ld_out + j;
    if (rows - i0 >= 4)
      product_block<4>(to, ld_out, a, b + j, ld_b, i0, depth, sum, add);
    else if (rows - i0 == 3)
      product_block<3>(to, ld_out, a, b + j, ld_b, i0, depth, sum, add);
    else if (rows - i0 == 2)
      product_block<2>(to, ld_out, a, b + j, ld_b, i0, depth, sum, add);
    else
      product_block<1>(to, ld_out, a, b + j, ld_b, i0, depth, sum, add);
  });
#else
  static_cast<void>(member);
  const HostProduct call{out, ld_out, rows, columns, a.at, a.row, a.step, depth, b, ld_b, add, sum};
  attention_isa() >= Isa::avx512 ? host_avx512::product(call) : host_avx2::product(call);
#endif
}

#ifndef WEFT_CUDA
/// out[j ld_out + i] = in[i ld_in + j] for i, j < 8.
inline void transpose_eight(float* out, std::int64_t ld_out, const float* in, std::int64_t ld_in) {
  __m256 x[8], y[8];
  for (int i = 0; i < 4; ++i) { // rows i and i + 4 share registers from here on
    const auto row = [in, ld_in](int r, int half) { return _mm_loadu_ps(in + r * ld_in + 4 * half); };
    x[i] = _mm256_set_m128(row(i + 4, 0), row(i, 0));
    x[i + 4] = _mm256_set_m128(row(i + 4, 1), row(i, 1));
  }
  for (int half = 0; half < 8; half += 4) {
    for (int i = 0; i < 4; i += 2) {
      y[half + i] = _mm256_unpacklo_ps(x[half + i], x[half + i + 1]);
      y[half + i + 1] = _mm256_unpackhi_ps(x[half + i], x[half + i + 1]);
    }
    for (int i = 0; i < 2; ++i) {
      _mm256_storeu_ps(out + (half + 2 * i) * ld_out, _mm256_shuffle_ps(y[half + i], y[half + i + 2], 0x44));
      _mm256_storeu_ps(out + (half + 2 * i + 1) * ld_out, _mm256_shuffle_ps(y[half + i], y[half + i + 2], 0xee));
    }
  }
}
#endif

/// out[columns, rows] = in[rows, columns], then a barrier; zeros behind the last row up to a whole group.
KOKKOS_INLINE_FUNCTION void transpose(const Member& member, float* out, std::int64_t ld_out, const float* in,
                                      std::int64_t ld_in, std::int64_t rows, std::int64_t columns) {
#ifdef WEFT_CUDA
  const std::int64_t end = (rows + number_count - 1) / number_count * number_count;
  each(member, columns * end, [&](std::int64_t n) {
    const std::int64_t j = n / end, i = n % end;
    out[j * ld_out + i] = i < rows ? in[i * ld_in + j] : 0.0f;
  });
#else
  static_cast<void>(member);
  const std::int64_t whole_rows = rows / 8 * 8, whole_columns = columns / 8 * 8; // in blocks of eight
  for (std::int64_t j = 0; j < whole_columns; j += 8)
    for (std::int64_t i = 0; i < whole_rows; i += 8)
      transpose_eight(out + j * ld_out + i, ld_out, in + i * ld_in + j, ld_in);
  for (std::int64_t j = 0; j < columns; ++j)
    for (std::int64_t i = j < whole_columns ? whole_rows : 0; i < padded(rows); ++i)
      out[j * ld_out + i] = i < rows ? in[i * ld_in + j] : 0.0f;
#endif
}

KOKKOS_INLINE_FUNCTION bool is_seen(const std::uint32_t* seen, std::int64_t words, std::int64_t b, std::int64_t i) {
  return !seen || (seen[b * words + i / 32] >> (i % 32) & 1u) != 0;
}

} // namespace weft::tiles
