// A thread for a row: the version for devices, correct anywhere. Included by lsh_attention.cpp only.
#pragma once
#include "kernels/common/kokkos.hpp"
#include "kernels/lsh/rule.hpp"

namespace weft::detail::lsh_rows {

/// What all rows of a call have in common.
template <class T>
struct Call {
  LshTables tables;
  AttentionShape shape;
  float scale;
  Widening widening;
  int first_round, end_round;
  const T *q, *k, *v, *dout;
  float* lse;         ///< [S, H, N]
  const float* delta; ///< [S, H, N]

  WEFT_FUNCTION const T* row_of(const T* tensor, std::int64_t stride, std::int64_t s, std::int64_t i, std::int64_t h,
                                std::int64_t width) const {
    return tensor + (s * shape.length + i) * stride + h * width;
  }
  WEFT_FUNCTION std::int64_t statistics(std::int64_t s, std::int64_t h, std::int64_t i) const {
    return (s * shape.heads + h) * shape.length + i;
  }
  /// 1 / (1 - p), or 0 where dropout takes the weight away.
  WEFT_FUNCTION float kept(std::int64_t s, std::int64_t h, int i, int j) const {
    if (widening.dropout.probability == 0.0f)
      return 1.0f;
    const std::uint64_t element = dropout_element(widening, static_cast<int>(h), i, j);
    const std::uint32_t random =
        random4(key_of(widening.dropout, s), static_cast<std::uint32_t>(element / 4)).x[element % 4];
    return dropout_keeps(random, dropout_threshold(widening.dropout.probability)) ? widening.kept : 0.0f;
  }
  /// body(j) for every key that query i sees, each time that it does.
  template <class Body>
  WEFT_FUNCTION void keys_of(std::int64_t s, std::int64_t h, int i, const Body& body) const {
    tables.keys_of(s, h, first_round, end_round, i, body);
  }
  /// body(i) for every query that sees key j, each time that it does.
  template <class Body>
  WEFT_FUNCTION void queries_of(std::int64_t s, std::int64_t h, int j, const Body& body) const {
    for (int r = first_round; r < end_round; ++r) {
      const int* order = tables.order.order + tables.row(s, h, r);
      const int c = tables.order.chunk_of[tables.row(s, h, r) + j];
      const Chunk wrapped = tables.before(s, r, 0);
      const bool wraps =
          wrapped.round >= 0 && tables.order.chunk_of[tables.row(s, h, wrapped.round) + j] == wrapped.number;
      const int chunks[] = {c, c + 1, wraps ? 0 : -1};
      for (int n = 0; n < 3; ++n)
        if (chunks[n] >= 0 && chunks[n] < tables.chunks()) {
          const Chunk chunk{r, chunks[n]};
          for (std::int64_t slot = tables.begin_of(chunk); slot < tables.end_of(chunk); ++slot)
            if (tables.sees(s, h, r, n == 0 ? own_chunk : chunk_before, order[slot], j))
              body(order[slot]);
        }
    }
  }
};

template <class A, class B>
WEFT_FUNCTION float product(const A* a, const B* b, std::int64_t width) {
  float sum = 0;
  for (std::int64_t e = 0; e < width; ++e)
    sum += load(a[e]) * load(b[e]);
  return sum;
}

/// Neighbouring threads take neighbours of the first round's sorted list: they meet the same keys.
template <class Body>
void for_rows(const char* label, const LshTables& tables, std::int64_t sequences, const Body& body) {
  for_each(
      label, sequences * tables.H * tables.N, KOKKOS_LAMBDA(std::int64_t task) {
        const std::int64_t h = task / tables.N % tables.H, s = task / tables.N / tables.H;
        body(s, h, tables.order.order[tables.row(s, h, 0) + task % tables.N]);
      });
}

template <class T>
void forward(const Call<T>& call, T* out) {
  for_rows(
      "weft::lsh_attention_forward", call.tables, call.shape.batch,
      KOKKOS_LAMBDA(std::int64_t s, std::int64_t h, int i) {
        const AttentionShape& shape = call.shape;
        const std::int64_t E = shape.key_width, Ev = shape.value_width, stride = shape.row_stride_qkv;
        float q[attention_width_limit], o[attention_width_limit];
        for (std::int64_t e = 0; e < E; ++e)
          q[e] = load(call.row_of(call.q, stride, s, i, h, E)[e]);
        for (std::int64_t e = 0; e < Ev; ++e)
          o[e] = 0;
        float maximum = -Kokkos::Experimental::infinity_v<float>, sum = 0;
        bool any = false;
        call.keys_of(s, h, i, [&](int j) {
          const float score = call.scale * product(q, call.row_of(call.k, stride, s, j, h, E), E);
          const T* value = call.row_of(call.v, stride, s, j, h, Ev);
          float weight = 1, factor = 1;
          if (!any || score > maximum) {
            factor = any ? Kokkos::exp(maximum - score) : 0.0f;
            maximum = score;
            any = true;
          } else {
            weight = Kokkos::exp(score - maximum);
          }
          sum = sum * factor + weight;
          weight *= call.kept(s, h, i, j);
          for (std::int64_t e = 0; e < Ev; ++e)
            o[e] = o[e] * factor + weight * load(value[e]);
        });
        T* to = out + (s * shape.length + i) * shape.row_stride_out + h * Ev;
        for (std::int64_t e = 0; e < Ev; ++e)
          to[e] = store<T>(any ? o[e] / sum : 0.0f);
        call.lse[call.statistics(s, h, i)] =
            any ? maximum + Kokkos::log(sum) : -Kokkos::Experimental::infinity_v<float>;
      });
}

/// Adds to dq, dk, dv [S, N, H, width], fp32.
template <class T>
void backward(const Call<T>& call, float* dq, float* dk, float* dv) {
  for_rows(
      "weft::lsh_attention_backward_queries", call.tables, call.shape.batch,
      KOKKOS_LAMBDA(std::int64_t s, std::int64_t h, int i) {
        const AttentionShape& shape = call.shape;
        const std::int64_t E = shape.key_width, Ev = shape.value_width, stride = shape.row_stride_qkv;
        const T *q = call.row_of(call.q, stride, s, i, h, E),
                *d = call.row_of(call.dout, shape.row_stride_out, s, i, h, Ev);
        float sum[attention_width_limit];
        for (std::int64_t e = 0; e < E; ++e)
          sum[e] = 0;
        const float lse = call.lse[call.statistics(s, h, i)], delta = call.delta[call.statistics(s, h, i)];
        call.keys_of(s, h, i, [&](int j) {
          const T* k = call.row_of(call.k, stride, s, j, h, E);
          const float p = Kokkos::exp(call.scale * product(q, k, E) - lse),
                      slope = call.kept(s, h, i, j) * product(d, call.row_of(call.v, stride, s, j, h, Ev), Ev) - delta,
                      ds = call.scale * p * slope;
          for (std::int64_t e = 0; e < E; ++e)
            sum[e] += ds * load(k[e]);
        });
        float* to = dq + ((s * shape.length + i) * shape.heads + h) * E;
        for (std::int64_t e = 0; e < E; ++e)
          to[e] += sum[e];
      });
  for_rows(
      "weft::lsh_attention_backward_keys", call.tables, call.shape.batch,
      KOKKOS_LAMBDA(std::int64_t s, std::int64_t h, int j) {
        if (!call.tables.is_real(s, j))
          return;
        const AttentionShape& shape = call.shape;
        const std::int64_t E = shape.key_width, Ev = shape.value_width, stride = shape.row_stride_qkv;
        const T *k = call.row_of(call.k, stride, s, j, h, E), *v = call.row_of(call.v, stride, s, j, h, Ev);
        float by_k[attention_width_limit], by_v[attention_width_limit];
        for (std::int64_t e = 0; e < E; ++e)
          by_k[e] = 0;
        for (std::int64_t e = 0; e < Ev; ++e)
          by_v[e] = 0;
        call.queries_of(s, h, j, [&](int i) {
          const T *q = call.row_of(call.q, stride, s, i, h, E),
                  *d = call.row_of(call.dout, shape.row_stride_out, s, i, h, Ev);
          const std::int64_t at = call.statistics(s, h, i);
          const float p = Kokkos::exp(call.scale * product(q, k, E) - call.lse[at]), kept = call.kept(s, h, i, j),
                      ds = call.scale * p * (kept * product(d, v, Ev) - call.delta[at]);
          for (std::int64_t e = 0; e < E; ++e)
            by_k[e] += ds * load(q[e]);
          for (std::int64_t e = 0; e < Ev; ++e)
            by_v[e] += kept * p * load(d[e]);
        });
        const std::int64_t at = (s * shape.length + j) * shape.heads + h;
        for (std::int64_t e = 0; e < E; ++e)
          dk[at * E + e] += by_k[e];
        for (std::int64_t e = 0; e < Ev; ++e)
          dv[at * Ev + e] += by_v[e];
      });
}

} // namespace weft::detail::lsh_rows
