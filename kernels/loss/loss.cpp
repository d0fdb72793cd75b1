#include "kernels/loss/loss.hpp"
#include "kernels/common/exponential.hpp"
#include "kernels/common/kokkos.hpp"

namespace weft {

template <class T>
void cross_entropy(float* losses, float* hits, T* dlogits, const float* logits, const std::uint16_t* targets,
                   float factor, std::int64_t rows, std::int64_t vocabulary) {
  for_each(
      "weft::cross_entropy", rows, KOKKOS_LAMBDA(std::int64_t i) {
        constexpr int lanes = 8;
        const float* z = logits + i * vocabulary;
        float largest = z[0];
        std::int64_t best = 0;
        for (std::int64_t v = 1; v < vocabulary; ++v)
          if (z[v] > largest) {
            largest = z[v];
            best = v;
          }
        float sums[lanes] = {};
        std::int64_t v = 0;
        for (; v + lanes <= vocabulary; v += lanes)
          for (int lane = 0; lane < lanes; ++lane)
            sums[lane] += fast_exp(z[v + lane] - largest);
        for (int lane = 0; v < vocabulary; ++v, ++lane)
          sums[lane] += fast_exp(z[v] - largest);
        const float sum = ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]));
        const std::int64_t target = targets[i];
        losses[i] = Kokkos::log(sum) + (largest - z[target]);
        hits[i] = best == target ? 1.0f : 0.0f;
        if (!dlogits)
          return;
        T* d = dlogits + i * vocabulary;
        const float share = factor / sum, at_target = share * fast_exp(z[target] - largest) - factor;
        for (std::int64_t w = 0; w < vocabulary; ++w)
          d[w] = store<T>(share * fast_exp(z[w] - largest));
        d[target] = store<T>(at_target);
      });
}

template void cross_entropy(float*, float*, float*, const float*, const std::uint16_t*, float, std::int64_t,
                            std::int64_t);
template void cross_entropy(float*, float*, bf16*, const float*, const std::uint16_t*, float, std::int64_t,
                            std::int64_t);

} // namespace weft
