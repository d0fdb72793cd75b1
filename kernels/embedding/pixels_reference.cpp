#include "kernels/embedding/pixels.hpp"
#include <algorithm>

namespace weft::reference {

namespace {
double value(const PixelShape& s, std::uint16_t token) {
  return (static_cast<double>(token) / 255 - static_cast<double>(s.mean)) / static_cast<double>(s.deviation);
}
} // namespace

void pixels_forward(const PixelShape& s, double* out, const std::uint16_t* tokens, const double* w, const double* b) {
  for (std::int64_t i = 0; i < s.rows; ++i)
    for (std::int64_t j = 0; j < s.width; ++j)
      out[i * s.width + j] = value(s, tokens[i]) * w[j] + b[j];
}

void pixels_backward(const PixelShape& s, double* dw, double* db, const double* dout, const std::uint16_t* tokens) {
  std::fill_n(dw, s.width, 0.0);
  std::fill_n(db, s.width, 0.0);
  for (std::int64_t i = 0; i < s.rows; ++i)
    for (std::int64_t j = 0; j < s.width; ++j) {
      dw[j] += value(s, tokens[i]) * dout[i * s.width + j];
      db[j] += dout[i * s.width + j];
    }
}

} // namespace weft::reference
