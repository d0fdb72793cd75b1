#include "kernels/attention/padded_rows.hpp"

namespace weft::reference {

namespace {
bool padded(const std::uint32_t* seen, std::int64_t length, std::int64_t b, std::int64_t i) {
  return (seen[b * ((length + 31) / 32) + i / 32] >> (i % 32) & 1u) == 0;
}
} // namespace

void padded_rows_forward(double* out, const double* v, const std::uint32_t* seen, std::int64_t batch,
                         std::int64_t length, std::int64_t width, std::int64_t sets) {
  for (std::int64_t b = 0; b < batch; ++b)
    for (std::int64_t i = 0; i < length; ++i)
      for (std::int64_t c = 0; c < width && padded(seen, length, b, i); ++c) {
        double sum = 0;
        for (std::int64_t j = i % sets; j < length; j += sets)
          sum += v[(b * length + j) * width + c];
        out[(b * length + i) * width + c] = sum / static_cast<double>(length / sets);
      }
}

void padded_rows_backward(double* dv, const double* dout, const std::uint32_t* seen, std::int64_t batch,
                          std::int64_t length, std::int64_t width, std::int64_t sets) {
  for (std::int64_t b = 0; b < batch; ++b)
    for (std::int64_t i = 0; i < length; ++i)
      for (std::int64_t j = i % sets; j < length && padded(seen, length, b, i); j += sets)
        for (std::int64_t c = 0; c < width; ++c)
          dv[(b * length + j) * width + c] += dout[(b * length + i) * width + c] / static_cast<double>(length / sets);
}

} // namespace weft::reference
