#include "kernels/lsh/lsh_attention.hpp"
#include "kernels/common/instantiate.hpp"
#include "kernels/common/kokkos.hpp"
#include "kernels/common/numbers.hpp"
#include "kernels/common/regions.hpp"
#include "kernels/lsh/rows.hpp"
#ifndef WEFT_CUDA
#include "kernels/lsh/tiles.hpp"
#endif
#include <limits>
#include <stdexcept>
#include <string>

namespace weft {
namespace {

using detail::LshTables;

void require(bool good, const std::string& text) {
  if (!good)
    throw std::invalid_argument("lsh_attention: " + text);
}

void check(const LshRule& rule, const AttentionShape& shape) {
  require(rule.rounds >= 1 && rule.chunk >= 1, "rounds and chunks of 1 at least");
  require(shape.key_width >= 1 && shape.key_width <= attention_width_limit && shape.value_width >= 1 &&
              shape.value_width <= attention_width_limit,
          "head widths from 1 to " + std::to_string(attention_width_limit));
  require(rule.rounds * shape.length <= std::numeric_limits<int>::max(), "fewer rounds, or a shorter length");
}

detail::Widening widening_of(const AttentionShape& shape, const AttentionExtras& extras) {
  const float p = extras.dropout.probability;
  const std::int64_t stride = extras.dropout_stride == 0 ? shape.length : extras.dropout_stride,
                     limit = std::int64_t{1} << 34;
  require(p >= 0 && p < 1, "a dropout probability in [0, 1)");
  require(p == 0 || (stride >= shape.length && stride <= limit / stride / shape.heads),
          "dropout over " + std::to_string(shape.heads) + " heads of " + std::to_string(stride) + " x " +
              std::to_string(stride) + " weights; expected 2^34 weights at most: take fewer heads, a shorter length, " +
              "or no attention dropout");
  return {extras.seen, (shape.length + 31) / 32, extras.dropout, static_cast<std::uint64_t>(stride), 1.0f / (1.0f - p)};
}

LshTables tables_of(const LshRule& rule, const LshOrder& order, const AttentionShape& shape,
                    const AttentionExtras& extras) {
  return {rule, order, shape.length, shape.heads, extras.seen, (shape.length + 31) / 32};
}

std::int64_t row_count(const AttentionShape& shape) { return shape.batch * shape.length; }
std::int64_t statistics_of(const AttentionShape& shape) { return row_count(shape) * shape.heads; }

/// Rounds [first, end) as one softmax.
template <class T>
struct Softmax {
  const LshRule& rule;
  const LshTables tables;
  const AttentionShape& shape;
  const detail::Widening widening;
  const T *q, *k, *v;
  LshPath path;
  int first, end;
  float* lse;

  /// workspace: the running sums and outputs.
  void forward(T* out, float* workspace) const {
#ifndef WEFT_CUDA
    if (path != LshPath::portable) {
      auto call = call_of<detail::ForwardCall<T>>();
      call.out = out;
      call.sum = workspace;
      call.open = workspace + statistics_of(shape);
      call.open_stride = shape.heads * shape.value_width;
      for (int r = first; r < end; ++r)
        detail::lsh_tiles::forward_round(tables, call, detail::host_tiles<T>(AttentionPath::best), r, r == first,
                                         r + 1 == end);
      return;
    }
#endif
    static_cast<void>(workspace);
    detail::lsh_rows::forward(rows(nullptr, nullptr), out);
  }

  /// Adds to dq, dk, dv.
  void backward(float* dq, float* dk, float* dv, const T* dout, const float* delta) const {
#ifndef WEFT_CUDA
    if (path != LshPath::portable) {
      auto call = call_of<detail::BackwardCall<T>>();
      call.dq = dq;
      call.dk = dk;
      call.dv = dv;
      call.dq_stride = call.dk_stride = shape.heads * shape.key_width;
      call.dv_stride = shape.heads * shape.value_width;
      call.dout = dout;
      call.delta = delta;
      for (int r = first; r < end; ++r)
        detail::lsh_tiles::backward_round(tables, call, detail::host_tiles<T>(AttentionPath::best), r);
      return;
    }
#endif
    detail::lsh_rows::backward(rows(dout, delta), dq, dk, dv);
  }

 private:
  template <class Call>
  Call call_of() const {
    Call call{};
    call.q = q;
    call.k = k;
    call.v = v;
    call.lse = lse;
    call.groups = call.parts_per_group = call.query_tiles = 1;
    call.shape = shape;
    call.shape.key_length = shape.length; // what 0 stands for, as the engine's tiles want it
    call.shape.row_stride_kv = shape.row_stride_qkv;
    call.scale = rule.scale;
    call.widening = widening;
    return call;
  }
  detail::lsh_rows::Call<T> rows(const T* dout, const float* delta) const {
    return {tables, shape, rule.scale, widening, first, end, q, k, v, dout, lse, delta};
  }
};

/// work(row, h) for the queries that saw themselves alone.
template <class Work>
void for_lonely(const char* label, const LshTables& tables, const AttentionShape& shape, const float* lse,
                const Work& work) {
  for_each(
      label, statistics_of(shape), KOKKOS_LAMBDA(std::int64_t at) {
        const std::int64_t i = at % shape.length, h = at / shape.length % shape.heads,
                           s = at / shape.length / shape.heads;
        if (lse[at] == -Kokkos::Experimental::infinity_v<float> && tables.is_real(s, i))
          work(s * shape.length + i, h);
      });
}

/// out_i = v_i
template <class T>
void give_self(const LshTables& tables, const AttentionShape& shape, T* out, const float* lse, const T* v) {
  for_lonely(
      "weft::lsh_attention_self", tables, shape, lse, KOKKOS_LAMBDA(std::int64_t row, std::int64_t h) {
        for (std::int64_t e = 0; e < shape.value_width; ++e)
          out[row * shape.row_stride_out + h * shape.value_width + e] =
              v[row * shape.row_stride_qkv + h * shape.value_width + e];
      });
}

/// dv_i += dout_i
template <class T>
void take_self(const LshTables& tables, const AttentionShape& shape, float* dv, const float* lse, const T* dout) {
  for_lonely(
      "weft::lsh_attention_self_backward", tables, shape, lse, KOKKOS_LAMBDA(std::int64_t row, std::int64_t h) {
        for (std::int64_t e = 0; e < shape.value_width; ++e)
          dv[(row * shape.heads + h) * shape.value_width + e] +=
              load(dout[row * shape.row_stride_out + h * shape.value_width + e]);
      });
}

/// delta_i = dout_i . out_i
template <class T>
void slopes(const AttentionShape& shape, float* delta, const T* dout, const T* out) {
  for_each(
      "weft::lsh_attention_delta", statistics_of(shape), KOKKOS_LAMBDA(std::int64_t at) {
        const std::int64_t i = at % shape.length, h = at / shape.length % shape.heads,
                           s = at / shape.length / shape.heads;
        const std::int64_t from = (s * shape.length + i) * shape.row_stride_out + h * shape.value_width;
        delta[at] = sum_of_numbers(shape.value_width, [&](std::int64_t e, std::int64_t count) {
          return numbers_at(dout + from + e, count) * numbers_at(out + from + e, count);
        });
      });
}

/// sum += out, in the first round sum = out; in the last one out = sum / rounds.
template <class T>
void add_round(const AttentionShape& shape, float* sum, T* out, bool first, float share) {
  const std::int64_t width = shape.heads * shape.value_width;
  for_each(
      "weft::lsh_attention_mean", row_count(shape), KOKKOS_LAMBDA(std::int64_t row) {
        for_numbers(0, width, [&](std::int64_t e, std::int64_t count) {
          Numbers x = numbers_at(out + row * shape.row_stride_out + e, count);
          if (!first)
            x = x + numbers_at(sum + row * width + e, count);
          put_numbers(sum + row * width + e, x, count);
          if (share > 0)
            put_numbers(out + row * shape.row_stride_out + e, share * x, count);
        });
      });
}

void scale_all(float* x, std::int64_t n, float factor) {
  for_each_range(
      "weft::lsh_attention_scale", n, KOKKOS_LAMBDA(std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i)
          x[i] *= factor;
      });
}

} // namespace

std::int64_t lsh_statistics(const LshRule& rule, const AttentionShape& shape) {
  return statistics_of(shape) * (rule.mean_of_rounds ? rule.rounds : 1);
}

std::int64_t lsh_attention_workspace(const LshRule& rule, const AttentionShape& shape, bool backward) {
  const std::int64_t running = statistics_of(shape) * (1 + shape.value_width);
  if (!rule.mean_of_rounds)
    return backward ? statistics_of(shape) : running;
  if (!backward)
    return running + statistics_of(shape) * shape.value_width;
  return running + statistics_of(shape) + row_count(shape) * shape.row_stride_out;
}

template <class T>
void lsh_attention_forward(const LshRule& rule, const LshOrder& order, const AttentionShape& shape, T* out, float* lse,
                           const T* q, const T* k, const T* v, float* workspace, const AttentionExtras& extras,
                           LshPath path) {
  const TimedRegion timed(&RegionSeconds::attention);
  check(rule, shape);
  const LshTables tables = tables_of(rule, order, shape, extras);
  const int R = static_cast<int>(rule.rounds), step = rule.mean_of_rounds ? 1 : R;
  Softmax<T> softmax{rule, tables, shape, widening_of(shape, extras), q, k, v, path, 0, step, lse};
  for (; softmax.first < R; softmax.first += step, softmax.end += step, softmax.lse += statistics_of(shape)) {
    softmax.forward(out, workspace);
    if (rule.self_last)
      give_self(tables, shape, out, softmax.lse, v);
    if (rule.mean_of_rounds)
      add_round(shape, workspace + statistics_of(shape) * (1 + shape.value_width), out, softmax.first == 0,
                softmax.end == R ? 1.0f / static_cast<float>(R) : 0.0f);
  }
}

template <class T>
void lsh_attention_backward(const LshRule& rule, const LshOrder& order, const AttentionShape& shape, float* dq,
                            float* dk, float* dv, const T* dout, const T* q, const T* k, const T* v, const T* out,
                            const float* lse, float* workspace, const AttentionExtras& extras, LshPath path) {
  const TimedRegion timed(&RegionSeconds::attention);
  check(rule, shape);
  const std::int64_t n = statistics_of(shape);
  device_zero(dq, static_cast<std::size_t>(n * shape.key_width) * sizeof(float));
  device_zero(dk, static_cast<std::size_t>(n * shape.key_width) * sizeof(float));
  device_zero(dv, static_cast<std::size_t>(n * shape.value_width) * sizeof(float));
  const LshTables tables = tables_of(rule, order, shape, extras);
  const int R = static_cast<int>(rule.rounds), step = rule.mean_of_rounds ? 1 : R;
  float* delta = workspace;
  // Of a mean, each round's own output is made again: its slopes want it.
  float* running = workspace + n;
  T* again = reinterpret_cast<T*>(running + n * (1 + shape.value_width));
  Softmax<T> softmax{rule, tables, shape, widening_of(shape, extras), q, k, v, path, 0, step, const_cast<float*>(lse)};
  for (; softmax.first < R; softmax.first += step, softmax.end += step, softmax.lse += n) {
    const T* of_round = out;
    if (rule.mean_of_rounds) {
      softmax.forward(again, running);
      if (rule.self_last)
        give_self(tables, shape, again, softmax.lse, v);
      of_round = again;
    }
    slopes(shape, delta, dout, of_round);
    softmax.backward(dq, dk, dv, dout, delta);
    if (rule.self_last)
      take_self(tables, shape, dv, softmax.lse, dout);
  }
  if (rule.mean_of_rounds) {
    const float share = 1.0f / static_cast<float>(R);
    scale_all(dq, n * shape.key_width, share);
    scale_all(dk, n * shape.key_width, share);
    scale_all(dv, n * shape.value_width, share);
  }
}

#define WEFT_LSH_ATTENTION_OF(T)                                                                                       \
  template void lsh_attention_forward(const LshRule&, const LshOrder&, const AttentionShape&, T*, float*, const T*,    \
                                      const T*, const T*, float*, const AttentionExtras&, LshPath);                    \
  template void lsh_attention_backward(const LshRule&, const LshOrder&, const AttentionShape&, float*, float*, float*, \
                                       const T*, const T*, const T*, const T*, const T*, const float*, float*,         \
                                       const AttentionExtras&, LshPath)
WEFT_FOR_EACH_STORAGE(WEFT_LSH_ATTENTION_OF);

} // namespace weft
