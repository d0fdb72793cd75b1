#include "kernels/embedding/embedding.hpp"
#include "kernels/common/kokkos.hpp"

namespace weft {

namespace {
/// to[D] = slot i of a sequence, whose token i-1 is *previous.
template <class T>
KOKKOS_INLINE_FUNCTION void embed(T* to, std::int64_t width, const Coordinates& at,
                                  const EmbeddingTables<const float*>& t, const std::uint16_t* previous,
                                  std::int64_t i) {
  if (i == 0) {
    for (std::int64_t j = 0; j < width; ++j)
      to[j] = store<T>(t.start[j]);
    return;
  }
  const float* token = t.token + *previous * width;
  const float* position[max_coordinates];
  for (int c = 0; c < at.count; ++c)
    position[c] = t.position[c] + at.of(c, i - 1) * width;
  for (std::int64_t j = 0; j < width; ++j) {
    float sum = token[j];
    for (int c = 0; c < at.count; ++c)
      sum += position[c][j];
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
  for_each(
      "weft::embedding_forward", s.batch * s.length, KOKKOS_LAMBDA(std::int64_t row) {
        embed(out + row * s.width, s.width, at, t, tokens + (row > 0 ? row - 1 : 0), row % s.length);
      });
}

template <class T>
void embedding_slot(T* out, const EmbeddingShape& shape, const Coordinates& coordinates,
                    const EmbeddingTables<const float*>& tables, const std::uint16_t* previous, std::int64_t i) {
  const std::int64_t width = shape.width;
  const Coordinates at = coordinates;
  const EmbeddingTables<const float*> t = tables;
  for_each(
      "weft::embedding_slot", shape.batch,
      KOKKOS_LAMBDA(std::int64_t b) { embed(out + b * width, width, at, t, previous + b, i); });
}

template <class T>
void embedding_backward(const EmbeddingTables<float*>& dtables, const EmbeddingShape& shape,
                        const Coordinates& coordinates, const T* dout, const std::uint16_t* tokens) {
  const EmbeddingShape s = shape;
  const Coordinates at = coordinates;
  const EmbeddingTables<float*> d = dtables;
  // A task owns a strip of columns of every table and walks through the rows in order: no two tasks touch one number.
  constexpr std::int64_t strip = 16;
  const std::int64_t strips = (s.width + strip - 1) / strip;
  const int kinds = 2 + at.count; // token, start, one per position table
  for_each(
      "weft::embedding_backward", strips * kinds, KOKKOS_LAMBDA(std::int64_t task) {
        const int kind = static_cast<int>(task / strips);
        const std::int64_t j0 = task % strips * strip, j1 = j0 + strip < s.width ? j0 + strip : s.width;
        float* table = kind == 0 ? d.token : kind == 1 ? d.start : d.position[kind - 2];
        const std::int64_t table_rows = kind == 0 ? s.vocabulary : kind == 1 ? 1 : at.extents[kind - 2];
        for (std::int64_t r = 0; r < table_rows; ++r)
          for (std::int64_t j = j0; j < j1; ++j)
            table[r * s.width + j] = 0;
        for (std::int64_t b = 0; b < s.batch; ++b)
          for (std::int64_t i = kind == 1 ? 0 : 1; i < (kind == 1 ? 1 : s.length); ++i) {
            const std::int64_t row = b * s.length + i;
            const std::int64_t r = kind == 0 ? tokens[row - 1] : kind == 1 ? 0 : at.of(kind - 2, i - 1);
            for (std::int64_t j = j0; j < j1; ++j)
              table[r * s.width + j] += load(dout[row * s.width + j]);
          }
      });
}

template void embedding_forward(float*, const EmbeddingShape&, const Coordinates&, const EmbeddingTables<const float*>&,
                                const std::uint16_t*);
template void embedding_forward(bf16*, const EmbeddingShape&, const Coordinates&, const EmbeddingTables<const float*>&,
                                const std::uint16_t*);
template void embedding_forward(fp16*, const EmbeddingShape&, const Coordinates&, const EmbeddingTables<const float*>&,
                                const std::uint16_t*);
template void embedding_slot(float*, const EmbeddingShape&, const Coordinates&, const EmbeddingTables<const float*>&,
                             const std::uint16_t*, std::int64_t);
template void embedding_slot(bf16*, const EmbeddingShape&, const Coordinates&, const EmbeddingTables<const float*>&,
                             const std::uint16_t*, std::int64_t);
template void embedding_slot(fp16*, const EmbeddingShape&, const Coordinates&, const EmbeddingTables<const float*>&,
                             const std::uint16_t*, std::int64_t);
template void embedding_backward(const EmbeddingTables<float*>&, const EmbeddingShape&, const Coordinates&,
                                 const float*, const std::uint16_t*);
template void embedding_backward(const EmbeddingTables<float*>&, const EmbeddingShape&, const Coordinates&, const bf16*,
                                 const std::uint16_t*);
template void embedding_backward(const EmbeddingTables<float*>&, const EmbeddingShape&, const Coordinates&, const fp16*,
                                 const std::uint16_t*);

} // namespace weft
