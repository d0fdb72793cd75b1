#include "kernels/synthesizer/synthetic_scores.hpp"
#include "kernels/common/instantiate.hpp"
#include "kernels/common/kokkos.hpp"
#include "kernels/common/numbers.hpp"
#include "kernels/sum/column_sums.hpp"

namespace weft {

namespace {
/// Where the columns of a joined row begin: those of q' and k' of a head, and the values.
KOKKOS_INLINE_FUNCTION std::int64_t query_of(const JoinShape& s, std::int64_t h) {
  return h * (s.key_width + s.features);
}
KOKKOS_INLINE_FUNCTION std::int64_t key_of(const JoinShape& s, std::int64_t h) {
  return (s.heads + h) * (s.key_width + s.features);
}
KOKKOS_INLINE_FUNCTION std::int64_t values_of(const JoinShape& s) { return 2 * s.heads * (s.key_width + s.features); }

template <class T>
KOKKOS_INLINE_FUNCTION void copy_numbers(T* to, const T* from, std::int64_t n) {
  for (std::int64_t e = 0; e < n; ++e)
    to[e] = from[e];
}

/// The head and query that take row `row` (token t, head `own`) of u.
struct Taker {
  std::int64_t head, query;
};
KOKKOS_INLINE_FUNCTION Taker taker_of(const JoinShape& s, HiddenForm form, std::int64_t t, std::int64_t own) {
  const std::int64_t row = t * s.heads + own;
  return form.reshaped ? Taker{row / s.length, row % s.length} : Taker{own, t};
}
} // namespace

template <class T>
void join_rows_forward(const JoinShape& s, T* joined, const T* qkv) {
  for_each(
      "weft::join_rows_forward", s.sequences * s.length, KOKKOS_LAMBDA(std::int64_t row) {
        T* to = joined + row * joined_width(s);
        const T* from = qkv + row * s.row_stride;
        for (std::int64_t h = 0; h < s.heads; ++h) {
          copy_numbers(to + query_of(s, h), from + h * s.key_width, s.key_width);
          copy_numbers(to + key_of(s, h), from + (s.heads + h) * s.key_width, s.key_width);
        }
        copy_numbers(to + values_of(s), from + 2 * s.heads * s.key_width, s.heads * s.value_width);
      });
}

template <class T>
void join_rows_backward(const JoinShape& s, T* dqkv, const T* djoined) {
  for_each(
      "weft::join_rows_backward", s.sequences * s.length, KOKKOS_LAMBDA(std::int64_t row) {
        T* to = dqkv + row * s.row_stride;
        const T* from = djoined + row * joined_width(s);
        for (std::int64_t h = 0; h < s.heads; ++h) {
          copy_numbers(to + h * s.key_width, from + query_of(s, h), s.key_width);
          copy_numbers(to + (s.heads + h) * s.key_width, from + key_of(s, h), s.key_width);
        }
        copy_numbers(to + 2 * s.heads * s.key_width, from + values_of(s), s.heads * s.value_width);
      });
}

template <class T>
void factors_forward(const JoinShape& s, T* joined, const float* left, const float* right) {
  for_each(
      "weft::factors_forward", s.sequences * s.length, KOKKOS_LAMBDA(std::int64_t row) {
        T* to = joined + row * joined_width(s) + s.key_width;
        for (std::int64_t h = 0; h < s.heads; ++h) {
          const std::int64_t from = (h * s.longest + row % s.length) * s.features;
          for (std::int64_t f = 0; f < s.features; ++f) {
            to[query_of(s, h) + f] = store<T>(s.factor * left[from + f]);
            to[key_of(s, h) + f] = store<T>(right[from + f]);
          }
        }
      });
}

template <class T>
void factors_backward(const JoinShape& s, float* dleft, float* dright, const T* djoined) {
  for_each(
      "weft::factors_backward", s.heads * s.length, KOKKOS_LAMBDA(std::int64_t task) {
        const std::int64_t h = task / s.length, i = task % s.length, to = (h * s.longest + i) * s.features;
        for (std::int64_t f = 0; f < s.features; ++f) {
          float of_query = 0, of_key = 0;
          for (std::int64_t b = 0; b < s.sequences; ++b) {
            const T* from = djoined + (b * s.length + i) * joined_width(s) + s.key_width + f;
            of_query += load(from[query_of(s, h)]);
            of_key += load(from[key_of(s, h)]);
          }
          dleft[to + f] = s.factor * of_query;
          dright[to + f] = of_key;
        }
      });
}

template <class T>
void hidden_forward(const JoinShape& s, HiddenForm form, T* joined, const T* u, const float* bias, const float* w,
                    const float* c) {
  const std::int64_t d = s.features - 1;
  for_each(
      "weft::hidden_forward", s.sequences * s.length, KOKKOS_LAMBDA(std::int64_t row) {
        const std::int64_t b = row / s.length, t = row % s.length;
        for (std::int64_t h = 0; h < s.heads; ++h) {
          const Taker taker = taker_of(s, form, t, h);
          T* query = joined + (b * s.length + taker.query) * joined_width(s) + query_of(s, taker.head) + s.key_width;
          for (std::int64_t f = 0; f < d; ++f) {
            const float z = load(u[row * s.row_stride + h * d + f]) + bias[h * d + f];
            query[f] = store<T>(z > 0 ? s.factor * z : (z == z ? 0.0f : z));
          }
          query[d] = store<T>(s.factor);
          T* key = joined + row * joined_width(s) + key_of(s, h) + s.key_width;
          const std::int64_t own = form.shared ? 0 : h;
          for (std::int64_t f = 0; f < d; ++f)
            key[f] = store<T>(w[(own * d + f) * s.longest + t]);
          key[d] = store<T>(c[own * s.longest + t]);
        }
      });
}

template <class T>
void hidden_backward(const JoinShape& s, HiddenForm form, T* du, float* dbias, float* dw, float* dc, const T* djoined,
                     const T* u, const float* bias, float* partial) {
  const std::int64_t d = s.features - 1, own_heads = form.shared ? 1 : s.heads;
  column_sums_of_pass(
      "weft::hidden_backward_rows", dbias, s.sequences * s.length, s.heads * d, partial,
      KOKKOS_LAMBDA(float* sums, std::int64_t row, std::int64_t j0, std::int64_t count) {
        const std::int64_t b = row / s.length, t = row % s.length;
        for (std::int64_t j = 0; j < count; ++j) {
          const std::int64_t h = (j0 + j) / d, f = (j0 + j) % d, at = row * s.row_stride + j0 + j;
          const Taker taker = taker_of(s, form, t, h);
          const T* query =
              djoined + (b * s.length + taker.query) * joined_width(s) + query_of(s, taker.head) + s.key_width;
          const float slope = load(u[at]) + bias[j0 + j] > 0 ? s.factor * load(query[f]) : 0.0f;
          du[at] = store<T>(slope);
          sums[j] += slope;
        }
      });
  for_each(
      "weft::hidden_backward_matrix", own_heads * s.length, KOKKOS_LAMBDA(std::int64_t task) {
        const std::int64_t own = task / s.length, j = task % s.length;
        const std::int64_t first = form.shared ? 0 : own, end = form.shared ? s.heads : own + 1;
        for (std::int64_t f = 0; f <= d; ++f) {
          float sum = 0;
          for (std::int64_t b = 0; b < s.sequences; ++b)
            for (std::int64_t h = first; h < end; ++h)
              sum += load(djoined[(b * s.length + j) * joined_width(s) + key_of(s, h) + s.key_width + f]);
          (f < d ? dw[(own * d + f) * s.longest + j] : dc[own * s.longest + j]) = sum;
        }
      });
}

#define WEFT_SYNTHETIC_SCORES_OF(T)                                                                                    \
  template void join_rows_forward(const JoinShape&, T*, const T*);                                                     \
  template void join_rows_backward(const JoinShape&, T*, const T*);                                                    \
  template void factors_forward(const JoinShape&, T*, const float*, const float*);                                     \
  template void factors_backward(const JoinShape&, float*, float*, const T*);                                          \
  template void hidden_forward(const JoinShape&, HiddenForm, T*, const T*, const float*, const float*, const float*);  \
  template void hidden_backward(const JoinShape&, HiddenForm, T*, float*, float*, float*, const T*, const T*,          \
                                const float*, float*)
WEFT_FOR_EACH_STORAGE(WEFT_SYNTHETIC_SCORES_OF);

} // namespace weft
