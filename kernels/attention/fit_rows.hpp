// Sequences moved into longer ones, with zeros behind, and back: for attention over more positions than there are rows.
#pragma once
#include "kernels/common/types.hpp"

namespace weft {

/// Overwrites to (S, M, width): rows i < min(N, M) are those of from (S, N, width), the others 0. to must not be from.
template <class T>
void fit_rows(T* to, std::int64_t M, const T* from, std::int64_t N, std::int64_t sequences, std::int64_t width);

} // namespace weft
