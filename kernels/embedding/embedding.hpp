// Token embedding plus positions. What lies in the slots of a sequence of tokens x[b,0 .. N):
//   shifted  N slots: slot 0 holds a learned start vector alone, slot i token i-1 at its own position i-1 (Child et al.
//            2019, section 5.3; the position is added before the shift)
//   plain    N slots: slot i holds token i at position i
//   front    N + 1 slots: slot 0 holds a learned vector (CLS), slot i token i-1. Positions are those of the slots, so
//            that the front vector has position 0 and token i position i+1 (as the Long Range Arena's code has it), or,
//            with front_position = false, the front vector has none and token i position i
//   slot of a token t at position p:  scale * token[t,:] + sum_c position_c[coordinate_c(p),:] + fixed[p,:]
//   slot 0, front:                    start + the same two sums at position 0
// Axial positions (Kitaev, Kaiser, Levskaya 2020, arXiv:2001.04451, and its released code): table c has a width of its
// own, and the rows of the tables stand side by side instead of being summed.
#pragma once
#include "kernels/common/into.hpp"
#include "kernels/common/types.hpp"

namespace weft {

constexpr int max_coordinates = 4;

/// Row-major coordinates of a position: extents[0] is the slowest. Table c has extents[c] rows and starts at row
/// first_row(c) of the stacked position tables. Count 0: no learned positions.
struct Coordinates {
  int count = 0;
  std::int64_t extents[max_coordinates] = {};
  std::int64_t widths[max_coordinates] = {}; ///< of axial tables, with the sum D; widths[0] = 0: all D, summed

  WEFT_FUNCTION bool axial() const { return count > 0 && widths[0] > 0; }
  /// Columns first .. first + width - 1 of a slot that table c adds to.
  WEFT_FUNCTION std::int64_t width(int c, std::int64_t D) const { return axial() ? widths[c] : D; }
  WEFT_FUNCTION std::int64_t first(int c) const {
    std::int64_t sum = 0;
    for (int d = 0; d < c && axial(); ++d)
      sum += widths[d];
    return sum;
  }

  WEFT_FUNCTION std::int64_t of(int c, std::int64_t position) const {
    for (int d = count - 1; d > c; --d)
      position /= extents[d];
    return position % extents[c];
  }
};

/// The embedding's parameters, or their gradients: all fp32.
template <class Pointer>
struct EmbeddingTables {
  Pointer token;                     ///< (V, D)
  Pointer start;                     ///< (D): the start or front vector; not used by plain slots
  Pointer position[max_coordinates]; ///< (extents[c], D), axial: (extents[c], widths[c])
  const float* fixed = nullptr;      ///< (positions, D): a table that is not learned (sinusoid.hpp), or null
};

enum class Slots { shifted, plain, front };

struct EmbeddingShape {
  std::int64_t batch, length, width, vocabulary; ///< length: tokens of a sequence
  Slots slots = Slots::shifted;
  bool front_position = true; ///< of Slots::front
  float scale = 1;            ///< of the token's vector

  WEFT_FUNCTION std::int64_t count() const { return slots == Slots::front ? length + 1 : length; } ///< of slots
  /// Which token of its sequence slot i holds; -1: the start or front vector.
  WEFT_FUNCTION std::int64_t token_of(std::int64_t i) const { return slots == Slots::plain ? i : i - 1; }
  /// The position of slot i; -1: it has none.
  WEFT_FUNCTION std::int64_t position_of(std::int64_t i) const {
    return slots == Slots::plain || (slots == Slots::front && front_position) ? i : i - 1;
  }
};

/// Overwrites out[B, shape.count(), D].
template <class T>
void embedding_forward(T* out, const EmbeddingShape& shape, const Coordinates& coordinates,
                       const EmbeddingTables<const float*>& tables, const std::uint16_t* tokens /* (B,N) */);

/// Slot i of the above alone, for decoding: overwrites out[B,D]; token[B] holds the token of that slot (x[b,i-1] in
/// shifted slots) and is not read where the slot holds none. shape.length is not used.
template <class T>
void embedding_slot(T* out, const EmbeddingShape& shape, const Coordinates& coordinates,
                    const EmbeddingTables<const float*>& tables, const std::uint16_t* token, std::int64_t i);

/// Overwrites every gradient table (dtables.fixed is not used); with Into::add the token's is added to. Each table row
/// adds its uses in the order of (b, i): no atomics.
template <class T>
void embedding_backward(const EmbeddingTables<float*>& dtables, const EmbeddingShape& shape,
                        const Coordinates& coordinates, const T* dout /* (B,count,D) */, const std::uint16_t* tokens,
                        Into token = Into::overwrite);

namespace reference {
void embedding_forward(double* out, const EmbeddingShape& shape, const Coordinates& coordinates,
                       const EmbeddingTables<const double*>& tables, const std::uint16_t* tokens);
void embedding_backward(const EmbeddingTables<double*>& dtables, const EmbeddingShape& shape,
                        const Coordinates& coordinates, const double* dout, const std::uint16_t* tokens);
} // namespace reference

} // namespace weft
