#include "kernels/embedding/embedding.hpp"
#include <algorithm>

namespace weft::reference {

void embedding_forward(double* out, const EmbeddingShape& s, const Coordinates& at,
                       const EmbeddingTables<const double*>& tables, const std::uint16_t* tokens) {
  for (std::int64_t b = 0; b < s.batch; ++b)
    for (std::int64_t i = 0; i < s.length; ++i)
      for (std::int64_t j = 0; j < s.width; ++j) {
        double& value = out[(b * s.length + i) * s.width + j];
        if (i == 0) {
          value = tables.start[j];
          continue;
        }
        value = tables.token[tokens[b * s.length + i - 1] * s.width + j];
        for (int c = 0; c < at.count; ++c)
          value += tables.position[c][at.of(c, i - 1) * s.width + j];
      }
}

void embedding_backward(const EmbeddingTables<double*>& d, const EmbeddingShape& s, const Coordinates& at,
                        const double* dout, const std::uint16_t* tokens) {
  std::fill_n(d.token, s.vocabulary * s.width, 0.0);
  std::fill_n(d.start, s.width, 0.0);
  for (int c = 0; c < at.count; ++c)
    std::fill_n(d.position[c], at.extents[c] * s.width, 0.0);
  for (std::int64_t b = 0; b < s.batch; ++b)
    for (std::int64_t i = 0; i < s.length; ++i)
      for (std::int64_t j = 0; j < s.width; ++j) {
        const double g = dout[(b * s.length + i) * s.width + j];
        if (i == 0) {
          d.start[j] += g;
          continue;
        }
        d.token[tokens[b * s.length + i - 1] * s.width + j] += g;
        for (int c = 0; c < at.count; ++c)
          d.position[c][at.of(c, i - 1) * s.width + j] += g;
      }
}

} // namespace weft::reference
