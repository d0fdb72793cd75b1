#include "kernels/loss/loss.hpp"
#include "kernels/common/instantiate.hpp"
#include "kernels/common/kokkos.hpp"
#include "kernels/common/numbers.hpp"

namespace weft {

namespace {
#ifdef WEFT_CUDA
constexpr std::int64_t held = 1; // a thread has no room for a row: its exponentials are made twice
#else
constexpr std::int64_t held = 1024;
#endif

/// Largest of a row; NaN is passed over, its exponential shows it.
WEFT_FUNCTION float largest_of(const float* z, std::int64_t n) {
  constexpr int lanes = 8;
  float top[lanes];
  for (int lane = 0; lane < lanes; ++lane)
    top[lane] = -Kokkos::Experimental::infinity_v<float>;
  std::int64_t v = 0;
  for (; v + lanes <= n; v += lanes)
    for (int lane = 0; lane < lanes; ++lane)
      top[lane] = z[v + lane] > top[lane] ? z[v + lane] : top[lane];
  float largest = top[0];
  for (int lane = 1; lane < lanes; ++lane)
    largest = top[lane] > largest ? top[lane] : largest;
  for (; v < n; ++v)
    largest = z[v] > largest ? z[v] : largest;
  return largest;
}
} // namespace

template <class T>
void cross_entropy(float* losses, float* hits, T* dlogits, const float* logits, const std::uint16_t* targets,
                   float factor, std::int64_t rows, std::int64_t classes, const float* shares) {
  const std::int64_t V = classes;
  for_each(
      "weft::cross_entropy", rows, KOKKOS_LAMBDA(std::int64_t i) {
        if (shares && shares[i] == 0.0f) {
          losses[i] = hits[i] = 0;
          if (dlogits)
            for (std::int64_t v = 0; v < V; ++v)
              dlogits[i * V + v] = store<T>(0.0f);
          return;
        }
        const float* z = logits + i * V;
        const std::int64_t target = targets[i];
        const float largest = largest_of(z, V), at_target = z[target];
        float hit = at_target == largest ? 1.0f : 0.0f; // and no equal comes before it
        for (std::int64_t v = 0; v < target; ++v)
          hit = z[v] == largest ? 0.0f : hit;
        float e[held];
        const bool kept = held > 1 && V <= held;
        if (kept)
          for_numbers(0, V, [&](std::int64_t v, std::int64_t count) {
            put_numbers(e + v, exp_of(numbers_at(z + v, count) - largest), count);
          });
        const float sum =
            kept ? sum_of_numbers(V, [&](std::int64_t v, std::int64_t count) { return numbers_at(e + v, count); })
                 : sum_of_numbers(V, [&](std::int64_t v, std::int64_t count) {
                     return exp_of(numbers_at(z + v, count) - largest);
                   });
        const float loss = Kokkos::log(sum) + (largest - at_target);
        losses[i] = shares ? shares[i] * loss : loss;
        hits[i] = hit;
        if (!dlogits)
          return;
        T* d = dlogits + i * V;
        const float whole = shares ? shares[i] * factor : factor, part = whole / sum;
        if (kept)
          for_numbers(0, V, [&](std::int64_t v, std::int64_t count) {
            put_numbers(d + v, part * numbers_at(e + v, count), count);
          });
        else
          for_numbers(0, V, [&](std::int64_t v, std::int64_t count) {
            put_numbers(d + v, part * exp_of(numbers_at(z + v, count) - largest), count);
          });
        d[target] = store<T>(part * fast_exp(at_target - largest) - whole);
      });
}

#define WEFT_LOSS_OF(T)                                                                                                \
  template void cross_entropy(float*, float*, T*, const float*, const std::uint16_t*, float, std::int64_t,             \
                              std::int64_t, const float*)
WEFT_FOR_EACH_STORAGE(WEFT_LOSS_OF);

} // namespace weft
