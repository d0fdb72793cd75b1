#include "kernels/sinkhorn/summed.hpp"
#include "kernels/common/instantiate.hpp"
#include "kernels/common/kokkos.hpp"
#include "kernels/common/numbers.hpp"
#include "kernels/random/words.hpp"

namespace weft {

namespace {

/// a score that is not looked at
KOKKOS_INLINE_FUNCTION float nothing() { return -1e30f; }

/// Where the sums of a sequence and head lie: K and V by slot, and again by column, for products along slots.
struct Sums {
  float *rows, *columns, *slopes; ///< (b, E + Ev), (E + Ev, b), (b, E + Ev): of K and V
};
KOKKOS_INLINE_FUNCTION Sums sums_of_head(const SummedShape& a, float* sums, std::int64_t s, std::int64_t h) {
  const std::int64_t size = a.block * (a.key_width + a.value_width), heads = a.sequences * a.heads;
  float* at = sums + (s * a.heads + h) * size;
  return {at, at + heads * size, at + 2 * heads * size};
}

template <class T>
void sum_slots(const SummedShape& a, float* sums, const T* k, const T* v) {
  const std::int64_t H = a.heads, E = a.key_width, Ev = a.value_width, b = a.block, C = a.sets(), N = a.length;
  for_each(
      "weft::summed_slots", a.sequences * H * b, KOKKOS_LAMBDA(std::int64_t task) {
        const std::int64_t slot = task % b, h = task / b % H, s = task / (b * H);
        const Sums to = sums_of_head(a, sums, s, h);
        const auto add_up = [&](const T* from, std::int64_t width, std::int64_t column) {
          float* row = to.rows + slot * (E + Ev) + column;
          for_numbers(0, width, [&](std::int64_t e, std::int64_t count) {
            Numbers sum = Numbers{};
            for (std::int64_t t = slot * C; t < (slot + 1) * C; ++t)
              sum = sum + numbers_at(from + (s * N + t) * a.row_stride + h * width + e, count);
            put_numbers(row + e, sum, count);
          });
          for (std::int64_t e = 0; e < width; ++e)
            to.columns[(column + e) * b + slot] = row[e];
        };
        add_up(k, E, 0);
        add_up(v, Ev, E);
      });
}

/// to[j] = sum over e of x[e] columns[e b + j]
template <class T>
KOKKOS_INLINE_FUNCTION void times_columns(float* to, const T* x, const float* columns, std::int64_t width,
                                          std::int64_t b, float scale) {
  for_numbers(0, b, [&](std::int64_t j, std::int64_t count) {
    Numbers sum = Numbers{};
    for (std::int64_t e = 0; e < width; ++e)
      sum = sum + load(x[e]) * numbers_at(columns + e * b + j, count);
    put_numbers(to + j, scale * sum, count);
  });
}

/// w = the softmax of a query over the slots that it sees; false, and all 1/b, where it sees none.
template <class T>
KOKKOS_INLINE_FUNCTION bool softmax_row(const SummedShape& a, float* w, const T* q, const Sums& sums,
                                        const std::uint32_t* sees, float scale) {
  const std::int64_t b = a.block;
  times_columns(w, q, sums.columns, a.key_width, b, scale);
  bool some = !sees;
  for (std::int64_t j = 0; sees && j < b; ++j) {
    const bool seen = (sees[j / 32] >> (j % 32) & 1u) != 0;
    some = some || seen;
    w[j] = seen ? w[j] : nothing();
  }
  float largest = nothing();
  for (std::int64_t j = 0; j < b; ++j)
    largest = w[j] > largest ? w[j] : largest;
  for_numbers(0, b, [&](std::int64_t j, std::int64_t count) {
    put_numbers(w + j, exp_of(numbers_at(w + j, count) - largest), count);
  });
  const float sum = sum_of_numbers(b, [&](std::int64_t j, std::int64_t count) { return numbers_at(w + j, count); });
  const float by = some ? 1.0f / sum : 0.0f, share = some ? 0.0f : 1.0f / static_cast<float>(b);
  for (std::int64_t j = 0; j < b; ++j)
    w[j] = some ? by * w[j] : share;
  return some;
}

/// How queries weigh the slots; device code holds a copy.
struct Weigher {
  SummedShape a;
  float* sums;
  const std::uint32_t* pairs;
  Dropout dropout;
  float scale = 1.0f / Kokkos::sqrt(static_cast<float>(a.key_width)), kept = 1.0f / (1.0f - dropout.probability);
  std::uint32_t threshold = dropout_threshold(dropout.probability);

  /// A head's slot, whose queries lie side by side.
  struct Slot {
    std::int64_t slot, h, s;
    Sums sums;
    const std::uint32_t* sees; ///< null: all
    RandomKey key;
  };
  KOKKOS_INLINE_FUNCTION Slot slot_of(std::int64_t task) const {
    const std::int64_t b = a.block, slot = task % b, h = task / b % a.heads, s = task / (b * a.heads);
    return {slot,
            h,
            s,
            sums_of_head(a, sums, s, h),
            pairs ? pairs + (s * b + slot) * ((b + 31) / 32) : nullptr,
            dropout.probability > 0 ? key_of(dropout, s) : RandomKey{}};
  }

  template <class T>
  KOKKOS_INLINE_FUNCTION bool weigh(float* w, const Slot& of, std::int64_t t, const T* q) const {
    return softmax_row(a, w, q + (of.s * a.length + t) * a.row_stride + of.h * a.key_width, of.sums, of.sees, scale);
  }
  /// The factors of dropout for the weights of query t, 0 or 1 / (1 - p) each, multiplied into w. some: what weigh()
  /// gave; uniform weights are not dropped.
  KOKKOS_INLINE_FUNCTION void drop(float* w, const Slot& of, std::int64_t t, bool some) const {
    if (!some || dropout.probability <= 0)
      return;
    constexpr int blocks = 2 * words_group;
    std::uint32_t words[4 * (blocks + words_group)];
    const std::int64_t b = a.block, first = (of.h * a.length + t) * b; // the row's element
    for (std::int64_t j0 = 0; j0 < b; j0 += 4 * (blocks - 1)) {
      const std::int64_t j1 = j0 + 4 * (blocks - 1) < b ? j0 + 4 * (blocks - 1) : b, at = first + j0;
      random_words(words, of.key, static_cast<std::uint32_t>(at / 4), blocks);
      for (std::int64_t j = j0; j < j1; ++j)
        w[j] *= dropout_keeps(words[at % 4 + j - j0], threshold) ? kept : 0.0f;
    }
  }
};

} // namespace

void summed_pairs(const SummedShape& a, std::uint32_t* pairs, const std::uint32_t* seen) {
  const std::int64_t b = a.block, words = (b + 31) / 32, N = a.length, of_seen = (N + 31) / 32, C = a.sets();
  for_each(
      "weft::summed_pairs", a.pair_words(), KOKKOS_LAMBDA(std::int64_t task) {
        const std::int64_t word = task % words, slot = task / words % b, s = task / (words * b);
        const auto real = [&](std::int64_t i) { return (seen[s * of_seen + i / 32] >> (i % 32) & 1u) != 0; };
        std::uint32_t bits = 0;
        for (std::int64_t c = 0; c < C; ++c)
          if (real(c * b + slot))
            for (std::int64_t j = word * 32; j < word * 32 + 32 && j < b; ++j)
              bits |= real(c * b + j) ? 1u << (j % 32) : 0u;
        pairs[task] = bits;
      });
}

template <class T>
void summed_forward(const SummedShape& shape, T* out, const T* local, const T* q, const T* k, const T* v,
                    const std::uint32_t* pairs, const Dropout& dropout, float* sums, float* weights) {
  const SummedShape a = shape;
  const std::int64_t H = a.heads, E = a.key_width, Ev = a.value_width, b = a.block, C = a.sets(), N = a.length;
  const Weigher weigher{a, sums, pairs, dropout};
  sum_slots(a, sums, k, v);
  for_each(
      "weft::summed_forward", a.sequences * H * b, KOKKOS_LAMBDA(std::int64_t task) {
        const Weigher::Slot of = weigher.slot_of(task);
        float* w = weights + task * b; // one row for the queries of a slot in turn
        for (std::int64_t t = of.slot * C; t < (of.slot + 1) * C; ++t) {
          weigher.drop(w, of, t, weigher.weigh(w, of, t, q));
          const std::int64_t at = ((of.s * N + t) * H + of.h) * Ev;
          for_numbers(0, Ev, [&](std::int64_t e, std::int64_t count) {
            Numbers sum = Numbers{};
            for (std::int64_t j = 0; j < b; ++j)
              sum = sum + w[j] * numbers_at(of.sums.rows + j * (E + Ev) + E + e, count);
            put_numbers(out + at + e, numbers_at(local + at + e, count) + sum, count);
          });
        }
      });
}

template <class T>
void summed_backward(const SummedShape& shape, T* dq, T* dk, T* dv, const T* dout, const T* q, const T* k, const T* v,
                     const std::uint32_t* pairs, const Dropout& dropout, float* sums, float* weights) {
  const SummedShape a = shape;
  const std::int64_t H = a.heads, E = a.key_width, Ev = a.value_width, b = a.block, C = a.sets(), N = a.length;
  const std::int64_t all = a.sequences * H * N * b;
  const Weigher weigher{a, sums, pairs, dropout};
  sum_slots(a, sums, k, v);
  // Per query the weights as they were used, and the slopes of the scores; dq.
  for_each(
      "weft::summed_backward_scores", a.sequences * H * b, KOKKOS_LAMBDA(std::int64_t task) {
        const Weigher::Slot of = weigher.slot_of(task);
        const std::int64_t h = of.h, s = of.s;
        for (std::int64_t t = of.slot * C; t < (of.slot + 1) * C; ++t) {
          float *used = weights + ((s * H + h) * N + t) * b, *ds = used + all;
          const bool some = weigher.weigh(used, of, t, q);
          // ds = p (f dp - sum p f dp) / sqrt(E) with the factors f of dropout; f p dp is what sums up
          times_columns(ds, dout + ((s * N + t) * H + h) * Ev, of.sums.columns + E * b, Ev, b, 1.0f);
          weigher.drop(ds, of, t, some);
          const float mean = sum_of_numbers(b, [&](std::int64_t j, std::int64_t count) {
            return numbers_at(used + j, count) * numbers_at(ds + j, count);
          });
          const float by = some ? weigher.scale : 0.0f; // uniform weights are constants
          for (std::int64_t j = 0; j < b; ++j)
            ds[j] = by * (used[j] * (ds[j] - mean));
          weigher.drop(used, of, t, some);
          T* to = dq + (s * N + t) * a.row_stride + h * E;
          for_numbers(0, E, [&](std::int64_t e, std::int64_t count) {
            Numbers sum = Numbers{};
            for (std::int64_t j = 0; j < b; ++j)
              sum = sum + ds[j] * numbers_at(of.sums.rows + j * (E + Ev) + e, count);
            put_numbers(to + e, numbers_at(to + e, count) + sum, count);
          });
        }
      });
  // Per slot the slopes of its sums, over all queries in order.
  constexpr std::int64_t together = 4;
  const std::int64_t groups = (b + together - 1) / together;
  for_each(
      "weft::summed_backward_sums", a.sequences * H * groups, KOKKOS_LAMBDA(std::int64_t task) {
        const std::int64_t first = task % groups * together, h = task / groups % H, s = task / (groups * H);
        const std::int64_t here = b - first < together ? b - first : together;
        const Sums of = sums_of_head(a, sums, s, h);
        const float *used = weights + (s * H + h) * N * b + first, *ds = used + all;
        const auto add_up = [&](const T* from, std::int64_t stride, std::int64_t width, std::int64_t column,
                                const float* factors) {
          for_numbers(0, width, [&](std::int64_t e, std::int64_t count) {
            Numbers total[together] = {};
            for (std::int64_t t = 0; t < N; ++t) {
              const Numbers x = numbers_at(from + (s * N + t) * stride + h * width + e, count);
              for (std::int64_t j = 0; j < here; ++j)
                total[j] = total[j] + factors[t * b + j] * x;
            }
            for (std::int64_t j = 0; j < here; ++j)
              put_numbers(of.slopes + (first + j) * (E + Ev) + column + e, total[j], count);
          });
        };
        add_up(q, a.row_stride, E, 0, ds);
        add_up(dout, H * Ev, Ev, E, used);
      });
  for_each(
      "weft::summed_backward_rows", a.sequences * N, KOKKOS_LAMBDA(std::int64_t row) {
        const std::int64_t s = row / N, slot = row % N / C;
        for (std::int64_t h = 0; h < H; ++h) {
          const float* from = sums_of_head(a, sums, s, h).slopes + slot * (E + Ev);
          T *to_k = dk + row * a.row_stride + h * E, *to_v = dv + row * a.row_stride + h * Ev;
          for_numbers(0, E, [&](std::int64_t e, std::int64_t count) {
            put_numbers(to_k + e, numbers_at(to_k + e, count) + numbers_at(from + e, count), count);
          });
          for_numbers(0, Ev, [&](std::int64_t e, std::int64_t count) {
            put_numbers(to_v + e, numbers_at(to_v + e, count) + numbers_at(from + E + e, count), count);
          });
        }
      });
}

#define WEFT_SUMMED_OF(T)                                                                                              \
  template void summed_forward(const SummedShape&, T*, const T*, const T*, const T*, const T*, const std::uint32_t*,   \
                               const Dropout&, float*, float*);                                                        \
  template void summed_backward(const SummedShape&, T*, T*, T*, const T*, const T*, const T*, const T*,                \
                                const std::uint32_t*, const Dropout&, float*, float*)
WEFT_FOR_EACH_STORAGE(WEFT_SUMMED_OF);

} // namespace weft
