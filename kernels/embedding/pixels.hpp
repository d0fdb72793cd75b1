// Grey values as rows, for models that read numbers and not tokens:
//   out[i,:] = z_i w + b,   z_i = (token_i / 255 - mean) / deviation
// Sums are fp32: of blocks of 64 rows, then the blocks in order.
#pragma once
#include "kernels/common/types.hpp"

namespace weft {

struct PixelShape {
  std::int64_t rows, width; ///< R, D
  float mean, deviation;    ///< of the pictures' values in [0, 1]

  WEFT_FUNCTION float value(std::uint16_t token) const {
    return (static_cast<float>(token) / 255.0f - mean) / deviation;
  }
};

/// Overwrites out[R,D].
template <class T>
void pixels_forward(const PixelShape& shape, T* out, const std::uint16_t* tokens, const float* w, const float* b);

/// Overwrites dw[D], db[D]. partial: workspace of pixels_workspace(shape) floats.
template <class T>
void pixels_backward(const PixelShape& shape, float* dw, float* db, const T* dout, const std::uint16_t* tokens,
                     float* partial);

constexpr std::int64_t pixel_block = 64;
constexpr std::int64_t pixels_workspace(const PixelShape& s) {
  return (s.rows + pixel_block - 1) / pixel_block * 2 * s.width;
}

namespace reference {
void pixels_forward(const PixelShape& shape, double* out, const std::uint16_t* tokens, const double* w,
                    const double* b);
void pixels_backward(const PixelShape& shape, double* dw, double* db, const double* dout, const std::uint16_t* tokens);
} // namespace reference

} // namespace weft
