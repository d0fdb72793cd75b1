// Sums in a fixed order, whatever the number of threads, and the small passes over flat arrays.
#pragma once
#include "kernels/common/types.hpp"

namespace weft {

/// to[i] = from[i], rounded to the storage type of `to`.
template <class To, class From>
void convert(To* to, const From* from, std::int64_t n);

/// a[i] += b[i].
void add_to(float* a, const float* b, std::int64_t n);

/// a[i, j] += b[j], a of shape (rows, columns).
void add_to_rows(float* a, const float* b, std::int64_t rows, std::int64_t columns);

/// Adds two branches of the gradient tree: out[i] = left[i] + right[i]. out may be left or right.
void add(float* out, const float* left, const float* right, std::int64_t n);

/// a[i] *= factor.
void scale(float* a, double factor, std::int64_t n);

/// sum of a[i]^2, i in [0, n): blocks of 4,096 in fp64 (eight sums side by side), the block sums in
/// order. Returned to the host.
/// NaN or infinity anywhere gives a non-finite result.
double sum_of_squares(const float* a, std::int64_t n);

/// Index of the first element that is NaN or infinite, or -1.
template <class T>
std::int64_t first_nonfinite(const T* a, std::int64_t n);

/// out[j] = sum over rows i of a[i, j], a of shape (rows, columns), overwritten: blocks of 64 rows, block sums in
/// order. partial: workspace of column_sum_workspace(rows, columns) floats.
template <class T>
void column_sum(float* out, const T* a, std::int64_t rows, std::int64_t columns, float* partial);

constexpr std::int64_t column_sum_block = 64;
constexpr std::int64_t column_sum_workspace(std::int64_t rows, std::int64_t columns) {
  return (rows + column_sum_block - 1) / column_sum_block * columns;
}

} // namespace weft
