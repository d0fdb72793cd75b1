#include "kernels/common/instantiate.hpp"
#include "kernels/common/kokkos.hpp"
#include "kernels/common/numbers.hpp"
#include "kernels/ema/ema.hpp"

namespace weft {

void ema_step_coefficients(const EmaShape& shape, float* coefficients, const EmaTensors<const float*>& tensors) {
  const std::int64_t D = shape.width, states = shape.states;
  const float share = 1.0f / Kokkos::sqrt(static_cast<float>(states));
  for_each(
      "weft::ema_step_coefficients", D * states, KOKKOS_LAMBDA(std::int64_t i) {
        const std::int64_t at = i % D * states + i / D; // channels innermost, for the steps
        const float p = 1.0f / (1.0f + fast_exp(-tensors.delta[at]));
        coefficients[i] = 1.0f - p / (1.0f + fast_exp(-tensors.alpha[at]));
        coefficients[D * states + i] = tensors.gamma[at] * p * tensors.beta[at] * share;
      });
}

template <class T>
void ema_step(const EmaShape& shape, float* h, T* out, const T* x, const float* coefficients, const float* omega) {
  const std::int64_t D = shape.width, states = shape.states, strips = (D + strip_width - 1) / strip_width;
  for_each(
      "weft::ema_step", shape.sequences * strips, KOKKOS_LAMBDA(std::int64_t task) {
        const std::int64_t s = task / strips, j0 = task % strips * strip_width;
        for_numbers(j0, j0 + strip_width < D ? j0 + strip_width : D, [&](std::int64_t j, std::int64_t count) {
          const Numbers input = numbers_at(x + s * D + j, count);
          Numbers sum = numbers_at(omega + j, count) * input;
          for (std::int64_t m = 0; m < states; ++m) {
            float* const state = h + (s * states + m) * D + j;
            const float* const q = coefficients + m * D + j;
            const Numbers next = input + numbers_at(q, count) * numbers_at(state, count);
            put_numbers(state, next, count);
            sum = sum + numbers_at(q + states * D, count) * next;
          }
          put_numbers(out + s * D + j, sum, count);
        });
      });
}

#define WEFT_EMA_STEP_OF(T) template void ema_step(const EmaShape&, float*, T*, const T*, const float*, const float*)
WEFT_FOR_EACH_STORAGE(WEFT_EMA_STEP_OF);

} // namespace weft
