#include "kernels/embedding/embedding.hpp"
#include <algorithm>

namespace weft::reference {

void embedding_forward(double* out, const EmbeddingShape& s, const Coordinates& at,
                       const EmbeddingTables<const double*>& tables, const std::uint16_t* tokens) {
  for (std::int64_t b = 0; b < s.batch; ++b)
    for (std::int64_t i = 0; i < s.count(); ++i)
      for (std::int64_t j = 0; j < s.width; ++j) {
        double& value = out[(b * s.count() + i) * s.width + j];
        const std::int64_t of = s.token_of(i), place = s.position_of(i);
        value = of < 0 ? tables.start[j]
                       : static_cast<double>(s.scale) * tables.token[tokens[b * s.length + of] * s.width + j];
        for (int c = 0; c < at.count && place >= 0; ++c)
          if (const std::int64_t k = j - at.first(c), wide = at.width(c, s.width); k >= 0 && k < wide)
            value += tables.position[c][at.of(c, place) * wide + k];
        if (tables.fixed && place >= 0)
          value += static_cast<double>(tables.fixed[place * s.width + j]);
      }
}

void embedding_backward(const EmbeddingTables<double*>& d, const EmbeddingShape& s, const Coordinates& at,
                        const double* dout, const std::uint16_t* tokens) {
  std::fill_n(d.token, s.vocabulary * s.width, 0.0);
  if (s.slots != Slots::plain)
    std::fill_n(d.start, s.width, 0.0);
  for (int c = 0; c < at.count; ++c)
    std::fill_n(d.position[c], at.extents[c] * at.width(c, s.width), 0.0);
  for (std::int64_t b = 0; b < s.batch; ++b)
    for (std::int64_t i = 0; i < s.count(); ++i)
      for (std::int64_t j = 0; j < s.width; ++j) {
        const double g = dout[(b * s.count() + i) * s.width + j];
        const std::int64_t of = s.token_of(i), place = s.position_of(i);
        if (of < 0)
          d.start[j] += g;
        else
          d.token[tokens[b * s.length + of] * s.width + j] += static_cast<double>(s.scale) * g;
        for (int c = 0; c < at.count && place >= 0; ++c)
          if (const std::int64_t k = j - at.first(c), wide = at.width(c, s.width); k >= 0 && k < wide)
            d.position[c][at.of(c, place) * wide + k] += g;
      }
}

} // namespace weft::reference
