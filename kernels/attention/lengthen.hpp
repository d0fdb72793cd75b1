// Sequences moved into longer ones, with zeros behind, and back: for attention over more positions than there are rows.
#pragma once
#include "kernels/common/types.hpp"

namespace weft {

/// to (S, longer, width): rows i < length are those of from (S, length, width), the others 0. Overwrites to.
template <class T>
void lengthen_rows(T* to, const T* from, std::int64_t sequences, std::int64_t longer, std::int64_t length,
                   std::int64_t width);

/// to (S, length, width): the first rows of from (S, longer, width). Overwrites to.
template <class T>
void shorten_rows(T* to, const T* from, std::int64_t sequences, std::int64_t longer, std::int64_t length,
                  std::int64_t width);

} // namespace weft
