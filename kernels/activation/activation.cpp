#include "kernels/activation/activation.hpp"
#include "kernels/common/exponential.hpp"
#include "kernels/common/kokkos.hpp"

namespace weft {

namespace {
constexpr std::int64_t chunk = 1024; // one task: long enough to be vector code, short enough to share out
}

template <class T>
void activation_forward(T* out, const T* u, std::int64_t n) {
  for_each(
      "weft::activation_forward", (n + chunk - 1) / chunk, KOKKOS_LAMBDA(std::int64_t c) {
        const std::int64_t end = (c + 1) * chunk < n ? (c + 1) * chunk : n;
        for (std::int64_t i = c * chunk; i < end; ++i) {
          const float x = load(u[i]);
          out[i] = store<T>(x / (1.0f + fast_exp(-1.702f * x)));
        }
      });
}

template <class T>
void activation_backward(T* du, const T* dout, const T* u, std::int64_t n) {
  for_each(
      "weft::activation_backward", (n + chunk - 1) / chunk, KOKKOS_LAMBDA(std::int64_t c) {
        const std::int64_t end = (c + 1) * chunk < n ? (c + 1) * chunk : n;
        for (std::int64_t i = c * chunk; i < end; ++i) {
          const float x = load(u[i]), s = 1.0f / (1.0f + fast_exp(-1.702f * x));
          du[i] = store<T>(load(dout[i]) * (s + 1.702f * x * s * (1.0f - s)));
        }
      });
}

template void activation_forward(float*, const float*, std::int64_t);
template void activation_forward(bf16*, const bf16*, std::int64_t);
template void activation_backward(float*, const float*, const float*, std::int64_t);
template void activation_backward(bf16*, const bf16*, const bf16*, std::int64_t);

} // namespace weft
