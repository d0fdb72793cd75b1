// What passes a recurrence by, channel by channel (Orvieto et al. 2023, arXiv:2303.06349, section 2.1: D x_t):
//   y[i,j] += d[j] x[i,j]
// The sum of the gradient of d is that of kernels/sum: blocks of rows, then the blocks in order.
#pragma once
#include "kernels/sum/sum.hpp"

namespace weft {

/// Adds to y [R,D].
template <class T>
void skip_forward(T* y, const T* x, const float* d, std::int64_t rows, std::int64_t width);

/// Adds d dy to dx [R,D] and overwrites dd [D], the sums of dy x over the rows.
/// partial: workspace of column_sum_workspace(rows, width) floats.
template <class T>
void skip_backward(T* dx, float* dd, const T* dy, const T* x, const float* d, std::int64_t rows, std::int64_t width,
                   float* partial);

namespace reference {
void skip_forward(double* y, const double* x, const double* d, std::int64_t rows, std::int64_t width);
void skip_backward(double* dx, double* dd, const double* dy, const double* x, const double* d, std::int64_t rows,
                   std::int64_t width);
} // namespace reference

} // namespace weft
