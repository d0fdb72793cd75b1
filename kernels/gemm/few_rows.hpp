// Linear layers for a few rows at a time, as decoding needs them: one row per sample. The libraries' products choose
// their order of sums by the number of rows and of threads; here every row's result is a function of that row alone, so
// that a sample has the same bits whichever samples, ranks and threads work beside it. The cost is reading W once.
#pragma once
#include "kernels/common/memory.hpp"
#include "kernels/gemm/gemm.hpp"

namespace weft {

/// Columns of W that lie together: strip s holds columns 32 s .. 32 s + 31 as (K, 32), zeros behind the last column.
constexpr std::int64_t strip_columns = 32;

/// A matrix W[K,N] in strips, in the storage type, where the kernels run.
template <class T>
struct StripMatrix {
  Buffer<T> values;
  std::int64_t inputs = 0, outputs = 0;

  StripMatrix() = default;
  /// w: fp32 (K, N), where the kernels run; rounded to T.
  StripMatrix(const float* w, std::int64_t inputs, std::int64_t outputs);
};

/// What becomes of u = x W + b, rounded to the type of y as the separate operations would round it.
enum class RowsEnd {
  plain,      ///< y = u
  activation, ///< y = f(u), activation/activation.hpp
  residual    ///< y = r + u
};

/// y[M,N] overwritten from x[M,K]; b[N] may be null; r[M,N] is read with RowsEnd::residual only and may be y.
/// The sum over K runs in ascending order in fp32. Out is T or, with RowsEnd::plain, float.
template <class T, class Out>
void few_rows_forward(const StripMatrix<T>& w, std::int64_t rows, Out* y, const T* x, const float* b,
                      RowsEnd end = RowsEnd::plain, const Out* r = nullptr);

} // namespace weft
