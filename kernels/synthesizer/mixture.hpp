// A learned mixture of two sources of scores (Tay et al. 2021, arXiv:2005.00743, section 3.1: weights that add up to
// one; here the sigmoid of one number a, as the authors' code has it for two sources),
//   score = w_0 q . k + w_1 (synthetic),   w_0 = 1 - s,  w_1 = s,  s = 1 / (1 + exp(-a)).
// The weights go into the factors of the queries' rows, and into a copy of the table of scores where there is one:
//   da = s (1 - s) sum of (dscore synthetic - dscore q . k)
#pragma once
#include "kernels/synthesizer/synthetic_scores.hpp"

namespace weft {

/// Multiplies the queries of joined rows by w_0 and their features by w_1; all else stays. a: one number.
template <class T>
void mixture_forward(const JoinShape& shape, T* joined, const float* a);
/// The same to djoined, which comes from attention. Overwrites da; joined as forward left it. partial: workspace of
/// column_sum_workspace(S N, 1) floats (kernels/sum/sum.hpp).
template <class T>
void mixture_backward(const JoinShape& shape, T* djoined, float* da, const T* joined, const float* a, float* partial);

/// mixed = w_1 table, `rows` rows of `columns` numbers; overwrites mixed.
void mixture_of_table_forward(std::int64_t rows, std::int64_t columns, float* mixed, const float* table,
                              const float* a);
/// dtable: in, the gradient of mixed; out, that of table. Adds to da. partial: column_sum_workspace(rows, 1) + 1.
void mixture_of_table_backward(std::int64_t rows, std::int64_t columns, float* dtable, float* da, const float* table,
                               const float* a, float* partial);

namespace reference {
/// mixed[n] from n scores of each source, and the gradients; da is overwritten.
void mixture_forward(std::int64_t n, double* mixed, const double* products, const double* synthetic, double a);
void mixture_backward(std::int64_t n, double* dproducts, double* dsynthetic, double* da, const double* dmixed,
                      const double* products, const double* synthetic, double a);
} // namespace reference

} // namespace weft
