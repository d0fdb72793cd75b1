// What surrounds LSH attention in the Long Range Arena's released code (arXiv:2011.04006, its reformer module). The
// sequence is padded with zero rows to a multiple of ten that is longer than it,
//   N' = (N div 10 + 1) 10,
// and cut into ten chunks. The heads' outputs lie as (H, N', Ev) in memory and are read as rows of width H Ev without a
// transpose: slot n of output row t is head (t H + n) div N' at position (t H + n) mod N', so a row holds H neighbours
// of one head and, but for the first rows, not its own position's output. What falls behind row N is cut off.
#pragma once
#include "kernels/common/types.hpp"

namespace weft {

constexpr std::int64_t released_length(std::int64_t length) { return (length / 10 + 1) * 10; }

/// Overwrites y[S, N, H Ev] from attended[S, N', H, Ev], N' = released_length(N).
template <class T>
void scramble_heads(T* y, const T* attended, std::int64_t sequences, std::int64_t length, std::int64_t heads,
                    std::int64_t width);

/// Overwrites dattended[S, N', H, Ev] from dy[S, N, H Ev]: 0 where the output was cut off.
template <class T>
void scramble_heads_backward(T* dattended, const T* dy, std::int64_t sequences, std::int64_t length, std::int64_t heads,
                             std::int64_t width);

} // namespace weft
