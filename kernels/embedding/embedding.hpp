// Token embedding plus a sum of learned position embeddings, shifted by one place (Child et al. 2019, section 5.3; the
// position is added before the shift, so slot i carries token i-1 at the position of token i-1).
//   out[b,0,:] = start;   out[b,i,:] = token[x[b,i-1],:] + sum_c position_c[coordinate_c(i-1),:]
#pragma once
#include "kernels/common/types.hpp"

namespace weft {

constexpr int max_coordinates = 4;

/// Row-major coordinates of a position: extents[0] is the slowest. Table c has extents[c] rows and starts at row
/// first_row(c) of the stacked position tables.
struct Coordinates {
  int count = 0;
  std::int64_t extents[max_coordinates] = {};

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
  Pointer start;                     ///< (D)
  Pointer position[max_coordinates]; ///< (extents[c], D)
};

struct EmbeddingShape {
  std::int64_t batch, length, width, vocabulary;
};

/// Overwrites out[B,N,D].
template <class T>
void embedding_forward(T* out, const EmbeddingShape& shape, const Coordinates& coordinates,
                       const EmbeddingTables<const float*>& tables, const std::uint16_t* tokens /* (B,N) */);

/// Slot i of the above alone, for decoding: overwrites out[B,D]; previous[B] holds the tokens x[b,i-1] and is not read
/// where i = 0. shape.length is not used.
template <class T>
void embedding_slot(T* out, const EmbeddingShape& shape, const Coordinates& coordinates,
                    const EmbeddingTables<const float*>& tables, const std::uint16_t* previous, std::int64_t i);

/// Overwrites every gradient table. Each table row adds its uses in the order of (b, i): no atomics.
template <class T>
void embedding_backward(const EmbeddingTables<float*>& dtables, const EmbeddingShape& shape,
                        const Coordinates& coordinates, const T* dout /* (B,N,D) */, const std::uint16_t* tokens);

namespace reference {
void embedding_forward(double* out, const EmbeddingShape& shape, const Coordinates& coordinates,
                       const EmbeddingTables<const double*>& tables, const std::uint16_t* tokens);
void embedding_backward(const EmbeddingTables<double*>& dtables, const EmbeddingShape& shape,
                        const Coordinates& coordinates, const double* dout, const std::uint16_t* tokens);
} // namespace reference

} // namespace weft
