#include "kernels/synthesizer/mixture.hpp"
#include "kernels/common/instantiate.hpp"
#include "kernels/common/kokkos.hpp"
#include "kernels/sum/column_sums.hpp"

namespace weft {

namespace {
/// Both weights: that of a large |a| does not vanish before it has to.
struct Shares {
  float products, synthetic; ///< w_0, w_1
};
KOKKOS_INLINE_FUNCTION Shares shares_of(float a) {
  const float small = Kokkos::exp(a > 0 ? -a : a), sum = 1 + small;
  return a > 0 ? Shares{small / sum, 1 / sum} : Shares{1 / sum, small / sum};
}
} // namespace

template <class T>
void mixture_forward(const JoinShape& s, T* joined, const float* a) {
  for_each(
      "weft::mixture_forward", s.sequences * s.length, KOKKOS_LAMBDA(std::int64_t row) {
        const Shares w = shares_of(*a);
        T* to = joined + row * joined_width(s);
        const std::int64_t E = s.key_width, F = s.features;
        for (std::int64_t h = 0; h < s.heads; ++h, to += E + F) {
          for (std::int64_t e = 0; e < E; ++e)
            to[e] = store<T>(w.products * load(to[e]));
          for (std::int64_t e = E; e < E + F; ++e)
            to[e] = store<T>(w.synthetic * load(to[e]));
        }
      });
}

// With x' = w x kept and dx' from attention: da sums dx' x dw/da, and x dw/da is (1 - s) x' or -s x'.
template <class T>
void mixture_backward(const JoinShape& s, T* djoined, float* da, const T* joined, const float* a, float* partial) {
  column_sums_of_pass(
      "weft::mixture_backward", da, s.sequences * s.length, 1, partial,
      KOKKOS_LAMBDA(float* sums, std::int64_t row, std::int64_t, std::int64_t) {
        const Shares w = shares_of(*a);
        T* to = djoined + row * joined_width(s);
        const T* from = joined + row * joined_width(s);
        const std::int64_t E = s.key_width, F = s.features;
        float of_products = 0, of_synthetic = 0;
        for (std::int64_t h = 0; h < s.heads; ++h, to += E + F, from += E + F) {
          for (std::int64_t e = 0; e < E; ++e) {
            of_products += load(to[e]) * load(from[e]);
            to[e] = store<T>(w.products * load(to[e]));
          }
          for (std::int64_t e = E; e < E + F; ++e) {
            of_synthetic += load(to[e]) * load(from[e]);
            to[e] = store<T>(w.synthetic * load(to[e]));
          }
        }
        *sums += w.products * of_synthetic - w.synthetic * of_products;
      });
}

void mixture_of_table_forward(std::int64_t rows, std::int64_t columns, float* mixed, const float* table,
                              const float* a) {
  for_each_range(
      "weft::mixture_of_table_forward", rows * columns, KOKKOS_LAMBDA(std::int64_t begin, std::int64_t end) {
        const float share = shares_of(*a).synthetic;
        for (std::int64_t i = begin; i < end; ++i)
          mixed[i] = share * table[i];
      });
}

void mixture_of_table_backward(std::int64_t rows, std::int64_t columns, float* dtable, float* da, const float* table,
                               const float* a, float* partial) {
  float* sum = partial + column_sum_workspace(rows, 1);
  column_sums_of_pass(
      "weft::mixture_of_table_backward", sum, rows, 1, partial,
      KOKKOS_LAMBDA(float* sums, std::int64_t row, std::int64_t, std::int64_t) {
        const Shares w = shares_of(*a);
        float* slopes = dtable + row * columns;
        const float* scores = table + row * columns;
        float product = 0;
        for (std::int64_t j = 0; j < columns; ++j) {
          product += slopes[j] * scores[j];
          slopes[j] *= w.synthetic;
        }
        *sums += w.synthetic * w.products * product;
      });
  for_each(
      "weft::mixture_sum", 1, KOKKOS_LAMBDA(std::int64_t) { *da += *sum; });
}

#define WEFT_MIXTURE_OF(T)                                                                                             \
  template void mixture_forward(const JoinShape&, T*, const float*);                                                   \
  template void mixture_backward(const JoinShape&, T*, float*, const T*, const float*, float*)
WEFT_FOR_EACH_STORAGE(WEFT_MIXTURE_OF);

} // namespace weft
