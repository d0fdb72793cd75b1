#include "kernels/relative/rotary_bias.hpp"
#include "kernels/common/kokkos.hpp"

namespace weft {

namespace {
KOKKOS_INLINE_FUNCTION double frequency(std::int64_t e, std::int64_t half) {
  return Kokkos::pow(10000.0, -static_cast<double>(e) / static_cast<double>(half));
}
} // namespace

void rotary_bias_forward(const RotaryBias& shape, float* bias, const float* a, const float* b) {
  const std::int64_t M = shape.reach, half = shape.width / 2;
  for_each(
      "weft::rotary_bias_forward", M, KOKKOS_LAMBDA(std::int64_t d) {
        double even = 0, odd = 0; // parts of t_d and t_-d
        for (std::int64_t e = 0; e < half; ++e) {
          const double angle = static_cast<double>(d) * frequency(e, half);
          const double a0 = a[e], a1 = a[e + half], b0 = b[e], b1 = b[e + half];
          even += (a0 * b0 + a1 * b1) * Kokkos::cos(angle);
          odd += (a0 * b1 - a1 * b0) * Kokkos::sin(angle);
        }
        bias[M - 1 + d] = static_cast<float>(even - odd);
        bias[M - 1 - d] = static_cast<float>(even + odd);
      });
}

void rotary_bias_backward(const RotaryBias& shape, float* da, float* db, const float* dbias, const float* a,
                          const float* b) {
  const std::int64_t M = shape.reach, half = shape.width / 2;
  for_each(
      "weft::rotary_bias_backward", half, KOKKOS_LAMBDA(std::int64_t e) {
        const double w = frequency(e, half);
        double of_cos = dbias[M - 1], of_sin = 0;
        for (std::int64_t d = 1; d < M; ++d) {
          const double angle = static_cast<double>(d) * w, ahead = dbias[M - 1 + d], behind = dbias[M - 1 - d];
          of_cos += (ahead + behind) * Kokkos::cos(angle);
          of_sin += (behind - ahead) * Kokkos::sin(angle);
        }
        const double a0 = a[e], a1 = a[e + half], b0 = b[e], b1 = b[e + half];
        da[e] = static_cast<float>(of_cos * b0 + of_sin * b1);
        da[e + half] = static_cast<float>(of_cos * b1 - of_sin * b0);
        db[e] = static_cast<float>(of_cos * a0 - of_sin * a1);
        db[e + half] = static_cast<float>(of_cos * a1 + of_sin * a0);
      });
}

} // namespace weft
