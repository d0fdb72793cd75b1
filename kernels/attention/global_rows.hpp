// What joins the two calls of the engine in Longformer: the rows of global positions come from the second one, and the
// layer's input has two gradients.
#pragma once
#include "kernels/attention/tiles.hpp"
#include "kernels/common/types.hpp"

namespace weft {

/// out[b,i,:,:] = from[b,i,:,:] for i < global, of rows (B N, H Ev) with the strides of `shape`. The others stay.
template <class T>
void global_rows_put(const AttentionShape& shape, T* out, const T* from, std::int64_t global);

/// x[i] += more[i], i in [0, n): the sum in fp32, rounded once.
template <class T>
void add_more(T* x, const T* more, std::int64_t n);

namespace reference {
void global_rows_put(double* out, const double* from, std::int64_t batch, std::int64_t length, std::int64_t width,
                     std::int64_t global); ///< dense rows of `width`
void add_more(double* x, const double* more, std::int64_t n);
} // namespace reference

} // namespace weft
