#include "kernels/embedding/embedding.hpp"
#include "kernels/common/instantiate.hpp"
#include "kernels/common/kokkos.hpp"

namespace weft {

namespace {
/// to[D] = slot i of a sequence; *token is read where the slot holds one.
template <class T>
KOKKOS_INLINE_FUNCTION void embed(T* to, const EmbeddingShape& s, const Coordinates& at,
                                  const EmbeddingTables<const float*>& t, const std::uint16_t* token, std::int64_t i) {
  const bool starts = s.token_of(i) < 0;
  const std::int64_t width = s.width, place = s.position_of(i);
  const float *vector = starts ? t.start : t.token + *token * width, scale = starts ? 1.0f : s.scale;
  const float* added[max_coordinates + 1];
  int count = 0;
  if (at.axial() && place >= 0) {
    for (int c = 0; c < at.count; ++c) {
      const std::int64_t first = at.first(c), columns = at.widths[c];
      const float* row = t.position[c] + at.of(c, place) * columns;
      for (std::int64_t j = 0; j < columns; ++j)
        to[first + j] = store<T>(scale * vector[first + j] + row[j]);
    }
    return;
  }
  if (place >= 0) {
    for (int c = 0; c < at.count; ++c)
      added[count++] = t.position[c] + at.of(c, place) * width;
    if (t.fixed)
      added[count++] = t.fixed + place * width;
  }
  for (std::int64_t j = 0; j < width; ++j) {
    float sum = scale * vector[j];
    for (int c = 0; c < count; ++c)
      sum += added[c][j];
    to[j] = store<T>(sum);
  }
}
} // namespace

template <class T>
void embedding_forward(T* out, const EmbeddingShape& shape, const Coordinates& coordinates,
                       const EmbeddingTables<const float*>& tables, const std::uint16_t* tokens) {
  const EmbeddingShape s = shape;
  const Coordinates at = coordinates;
  const EmbeddingTables<const float*> t = tables;
  const std::int64_t slots = s.count();
  for_each(
      "weft::embedding_forward", s.batch * slots, KOKKOS_LAMBDA(std::int64_t row) {
        const std::int64_t b = row / slots, i = row % slots, of = s.token_of(i);
        embed(out + row * s.width, s, at, t, tokens + b * s.length + (of > 0 ? of : 0), i);
      });
}

template <class T>
void embedding_slot(T* out, const EmbeddingShape& shape, const Coordinates& coordinates,
                    const EmbeddingTables<const float*>& tables, const std::uint16_t* token, std::int64_t i) {
  const EmbeddingShape s = shape;
  const Coordinates at = coordinates;
  const EmbeddingTables<const float*> t = tables;
  for_each(
      "weft::embedding_slot", s.batch,
      KOKKOS_LAMBDA(std::int64_t b) { embed(out + b * s.width, s, at, t, token + b, i); });
}

template <class T>
void embedding_backward(const EmbeddingTables<float*>& dtables, const EmbeddingShape& shape,
                        const Coordinates& coordinates, const T* dout, const std::uint16_t* tokens, Into token) {
  const EmbeddingShape s = shape;
  const Coordinates at = coordinates;
  const EmbeddingTables<float*> d = dtables;
  const std::int64_t slots = s.count();
  // A task owns a strip of columns of every table and walks through the rows in order: no two tasks touch one number.
  constexpr std::int64_t strip = 16;
  const std::int64_t strips = (s.width + strip - 1) / strip;
  const int kinds = 2 + at.count; // token, start, one per position table
  for_each(
      "weft::embedding_backward", strips * kinds, KOKKOS_LAMBDA(std::int64_t task) {
        const int kind = static_cast<int>(task / strips);
        if (kind == 1 && s.slots == Slots::plain)
          return;
        const std::int64_t width = kind > 1 ? at.width(kind - 2, s.width) : s.width;
        const std::int64_t first = kind > 1 ? at.first(kind - 2) : 0;
        const std::int64_t j0 = task % strips * strip, j1 = j0 + strip < width ? j0 + strip : width;
        float* table = kind == 0 ? d.token : kind == 1 ? d.start : d.position[kind - 2];
        const std::int64_t table_rows = kind == 0 ? s.vocabulary : kind == 1 ? 1 : at.extents[kind - 2];
        const float scale = kind == 0 ? s.scale : 1.0f;
        const bool kept = kind == 0 && token == Into::add;
        for (std::int64_t r = 0; r < table_rows && !kept; ++r)
          for (std::int64_t j = j0; j < j1; ++j)
            table[r * width + j] = 0;
        for (std::int64_t b = 0; b < s.batch; ++b)
          for (std::int64_t i = 0; i < (kind == 1 ? 1 : slots); ++i) {
            const std::int64_t of = s.token_of(i), place = s.position_of(i), row = b * slots + i;
            if (kind == 0 ? of < 0 : kind > 1 && place < 0)
              continue;
            const std::int64_t r = kind == 0 ? tokens[b * s.length + of] : kind == 1 ? 0 : at.of(kind - 2, place);
            for (std::int64_t j = j0; j < j1; ++j)
              table[r * width + j] += scale * load(dout[row * s.width + first + j]);
          }
      });
}

#define WEFT_EMBEDDING_OF(T)                                                                                           \
  template void embedding_forward(T*, const EmbeddingShape&, const Coordinates&, const EmbeddingTables<const float*>&, \
                                  const std::uint16_t*);                                                               \
  template void embedding_slot(T*, const EmbeddingShape&, const Coordinates&, const EmbeddingTables<const float*>&,    \
                               const std::uint16_t*, std::int64_t);                                                    \
  template void embedding_backward(const EmbeddingTables<float*>&, const EmbeddingShape&, const Coordinates&,          \
                                   const T*, const std::uint16_t*, Into)
WEFT_FOR_EACH_STORAGE(WEFT_EMBEDDING_OF);

} // namespace weft
