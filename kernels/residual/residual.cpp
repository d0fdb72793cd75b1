#include "kernels/residual/residual.hpp"
#include "kernels/common/kokkos.hpp"

namespace weft {

namespace {
/// Applies f(index, keep factor) to all elements; the factor is 0 or 1/(1-p). Blocks of four share one Philox call.
template <class F>
void with_mask(const char* label, const Dropout& dropout, std::int64_t batch, std::int64_t n, const F& f) {
  const std::int64_t blocks = (n + 3) / 4;
  const std::uint32_t threshold = dropout_threshold(dropout.probability);
  const float factor = 1.0f / (1.0f - dropout.probability);
  const Dropout given = dropout;
  for_each(
      label, batch * blocks, KOKKOS_LAMBDA(std::int64_t task) {
        const Dropout d = at_moment(given);
        const std::int64_t b = task / blocks, block = task % blocks;
        const RandomKey key{d.seed, d.step, d.first_sample + static_cast<std::uint32_t>(b), d.tensor};
        const Philox4 r = random4(key, static_cast<std::uint32_t>(block));
        for (int v = 0; v < 4; ++v)
          if (4 * block + v < n)
            f(b * n + 4 * block + v, dropout_keeps(r.x[v], threshold) ? factor : 0.0f);
      });
}
} // namespace

template <class T>
void residual_forward(T* out, const T* x, const T* y, const Dropout& dropout, std::int64_t batch, std::int64_t n) {
  if (dropout.probability == 0.0f)
    for_each(
        "weft::residual_forward", batch * n,
        KOKKOS_LAMBDA(std::int64_t i) { out[i] = store<T>(load(x[i]) + load(y[i])); });
  else
    with_mask(
        "weft::residual_dropout_forward", dropout, batch, n,
        KOKKOS_LAMBDA(std::int64_t i, float factor) { out[i] = store<T>(load(x[i]) + factor * load(y[i])); });
}

template <class T>
void residual_backward(T* dy, const T* dout, const Dropout& dropout, std::int64_t batch, std::int64_t n) {
  if (dropout.probability == 0.0f)
    for_each(
        "weft::residual_backward", batch * n, KOKKOS_LAMBDA(std::int64_t i) { dy[i] = dout[i]; });
  else
    with_mask(
        "weft::residual_dropout_backward", dropout, batch, n,
        KOKKOS_LAMBDA(std::int64_t i, float factor) { dy[i] = store<T>(factor * load(dout[i])); });
}

template void residual_forward(float*, const float*, const float*, const Dropout&, std::int64_t, std::int64_t);
template void residual_forward(bf16*, const bf16*, const bf16*, const Dropout&, std::int64_t, std::int64_t);
template void residual_backward(float*, const float*, const Dropout&, std::int64_t, std::int64_t);
template void residual_backward(bf16*, const bf16*, const Dropout&, std::int64_t, std::int64_t);

} // namespace weft
