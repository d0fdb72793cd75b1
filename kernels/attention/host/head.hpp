// What the tile functions of both directions know of their head, and the sizes of what they keep.
#pragma once
#include "kernels/attention/host/widening.hpp"

namespace weft::detail::WEFT_HOST {

/// Head h of sequence b: how wide its rows are and where they lie.
struct Head {
  std::int64_t b;
  int h;
  int width, value_width;
  int ldk, ldv;                          ///< the widths of packed rows of keys and of values
  std::int64_t row, key_row, statistics; ///< of the first position: in rows, and in lse, sum and delta

  WEFT_ALWAYS Head(const AttentionShape& shape, std::int64_t sequence, int head)
      : b(sequence), h(head), width(static_cast<int>(shape.key_width)),
        value_width(static_cast<int>(shape.value_width)), ldk(padded(width)), ldv(padded(value_width)),
        row(b * shape.length), key_row(b * shape.key_length), statistics((b * shape.heads + h) * shape.length) {}

  /// The first row in a tensor whose rows lie `stride` apart and hold `e` numbers of each head.
  template <class Number>
  WEFT_ALWAYS Number* rows_of(Number* tensor, std::int64_t stride, int e) const {
    return tensor + row * stride + h * e;
  }
  /// The same in a tensor of keys or values.
  template <class Number>
  WEFT_ALWAYS Number* key_rows_of(Number* tensor, std::int64_t stride, int e) const {
    return tensor + key_row * stride + h * e;
  }
};

/// Elements of a packed tile at most, and of one that only products of pairs need.
template <class Element>
struct TileSizes {
  static constexpr int count = depth_per_element<Element>;
  static constexpr bool pairs = count == 2;
  static constexpr int capacity = max_width * tile / count, spare = pairs ? capacity : 1;
  static constexpr int numbers = max_width * tile, spare_numbers = pairs ? numbers : 1;
};

} // namespace weft::detail::WEFT_HOST
