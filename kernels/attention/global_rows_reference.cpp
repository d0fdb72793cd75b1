#include "kernels/attention/global_rows.hpp"

namespace weft::reference {

void global_rows_put(double* out, const double* from, std::int64_t batch, std::int64_t length, std::int64_t width,
                     std::int64_t global) {
  for (std::int64_t b = 0; b < batch; ++b)
    for (std::int64_t i = 0; i < length && i < global; ++i)
      for (std::int64_t j = 0; j < width; ++j)
        out[(b * length + i) * width + j] = from[(b * length + i) * width + j];
}

void add_more(double* x, const double* more, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i)
    x[i] += more[i];
}

} // namespace weft::reference
