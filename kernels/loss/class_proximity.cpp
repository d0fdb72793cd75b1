#include "kernels/loss/class_proximity.hpp"
#include "kernels/common/exponential.hpp"
#include "kernels/common/instantiate.hpp"
#include "kernels/common/kokkos.hpp"

namespace weft {

template <class T>
void class_proximity(float* losses, float* hits, T* dlogits, const float* logits, const std::uint16_t* targets,
                     float strength, float factor, std::int64_t rows, std::int64_t classes, const float* shares) {
  const std::int64_t V = classes;
  const float step = V > 1 ? 1 / static_cast<float>(V - 1) : 0.0f; // between neighbours
  for_each(
      "weft::class_proximity", rows, KOKKOS_LAMBDA(std::int64_t i) {
        T* d = dlogits ? dlogits + i * V : nullptr;
        if (shares && shares[i] == 0.0f) {
          losses[i] = hits[i] = 0;
          for (std::int64_t v = 0; d && v < V; ++v)
            d[v] = store<T>(0.0f);
          return;
        }
        const float* z = logits + i * V;
        const std::int64_t target = targets[i];
        const float at_target = z[target];
        float largest = z[0]; // a NaN among the others is passed over: its exponential shows it
        std::int64_t first = 0;
        for (std::int64_t v = 1; v < V; ++v)
          if (z[v] > largest || largest != largest) {
            largest = z[v];
            first = v;
          }
        float sum = 0, apart = 0; // of exponentials, and of them times the distance in steps
        for (std::int64_t v = 0; v < V; ++v) {
          const float e = fast_exp(z[v] - largest);
          sum += e;
          apart += e * static_cast<float>(v < target ? target - v : v - target);
        }
        const float distance = step * apart / sum;
        const float loss = Kokkos::log(sum) + (largest - at_target) + strength * distance;
        const float share = shares ? shares[i] : 1.0f;
        losses[i] = share * loss;
        hits[i] = first == target ? 1.0f : 0.0f;
        if (!d)
          return;
        const float whole = share * factor;
        for (std::int64_t v = 0; v < V; ++v) { // z may be d: each number is read before it is overwritten
          const float p = fast_exp(z[v] - largest) / sum;
          const float away = step * static_cast<float>(v < target ? target - v : v - target);
          d[v] = store<T>(whole * (p * (1 + strength * (away - distance)) - (v == target ? 1.0f : 0.0f)));
        }
      });
}

#define WEFT_CLASS_PROXIMITY_OF(T)                                                                                     \
  template void class_proximity(float*, float*, T*, const float*, const std::uint16_t*, float, float, std::int64_t,    \
                                std::int64_t, const float*)
WEFT_FOR_EACH_STORAGE(WEFT_CLASS_PROXIMITY_OF);

} // namespace weft
