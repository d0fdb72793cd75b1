#include "kernels/pointwise_attention/pointwise_attention.hpp"
#include "kernels/common/instantiate.hpp"
#include "kernels/common/regions.hpp"
#include "kernels/pointwise_attention/operands.hpp"

namespace weft {

namespace {
using namespace pointwise;
using tiles::Left;
using tiles::product;
using tiles::Sum;

/// 1 / n_i of every query.
void count_keys(const PointwiseAttention& call, const Sizes& s, float* inverse) {
  const std::uint32_t* seen = call.seen;
  const std::int64_t words = (s.N + 31) / 32;
  for_each(
      "weft::pointwise_attention_keys", s.S * s.chunks(), KOKKOS_LAMBDA(std::int64_t task) {
        const std::int64_t b = task / s.chunks(), begin = task % s.chunks() * s.C;
        const std::int64_t end = begin + s.C < s.N ? begin + s.C : s.N;
        std::int64_t keys = 0;
        for (std::int64_t i = begin; i < end; ++i) {
          keys += tiles::is_seen(seen, words, b, i) ? 1 : 0;
          inverse[b * s.N + i] = 1.0f / static_cast<float>(keys > 0 ? keys : 1);
        }
        if (!s.causal)
          for (std::int64_t i = begin; i < end; ++i)
            inverse[b * s.N + i] = 1.0f / static_cast<float>(keys > 0 ? keys : 1);
      });
}

/// to (rows, width) = from (rows, padded width), times by[row] where there is one; 0 in rows that are not real keys.
template <class T>
KOKKOS_INLINE_FUNCTION void store_rows(const Member& member, const Operands<T>& of, const Tile& t, T* to,
                                       std::int64_t apart, const float* from, std::int64_t width, const float* by,
                                       bool keys) {
  each_group(member, t.rows, width, [&](std::int64_t r, std::int64_t j, std::int64_t count) {
    const Numbers x = numbers_at(from + r * tiles::padded(width) + j, number_count);
    put_numbers(to + of.row(t, r) * apart + j,
                keys && !of.real(t, r) ? Numbers{}
                : by                   ? x * by[of.row(t, r)]
                                       : x,
                count);
  });
}

/// body(member, scratch, tile, task) for every tile of every chunk of every sequence and head; it may have no rows.
template <class T, class Body>
void for_tiles(const char* label, const Operands<T>& of, const Body& body) {
  tiles::for_tasks(
      label, of.s.tasks(), of.s.scratch(), KOKKOS_LAMBDA(const Member& member, float* scratch, std::int64_t task) {
        body(member, scratch, of.tile_of(task), task);
      });
}

/// The keys and values of a tile, the keys turned, and which of them count.
template <class T>
KOKKOS_INLINE_FUNCTION void load_keys(const Member& member, const Operands<T>& of, const Tile& keys, float* k,
                                      float* turned, float* v, float* real) {
  const Sizes& s = of.s;
  of.load_rows(member, k, keys, of.k, of.stride, s.Z, true);
  of.load_rows(member, v, keys, of.v, of.stride, s.V, true);
  of.load_real(member, real, keys);
  tiles::transpose(member, turned, s.Tp, k, s.Zp, keys.rows, s.Z);
}

/// Calls body(keys, n) for every key tile n of the chunk that queries of the tile see, once it is loaded.
template <class T, class Body>
KOKKOS_INLINE_FUNCTION void for_key_tiles(const Member& member, const Operands<T>& of, const Tile& queries, float* k,
                                          float* turned, float* v, float* real, const Body& body) {
  const Sizes& s = of.s;
  for (std::int64_t n = 0; n < s.chunk_tiles(); ++n) {
    const Tile keys = of.beside(queries, n);
    if (keys.rows == 0 || (s.causal && keys.first >= queries.first + queries.rows))
      return;
    load_keys(member, of, keys, k, turned, v, real);
    body(keys, n);
  }
}

/// dq, and the slopes of the bias: of a task, which is a query tile, by distance.
template <class T>
void query_gradients(const Operands<T>& of, T* dq, float* partial) {
  const Sizes s = of.s;
  for_tiles(
      "weft::pointwise_attention_queries", of,
      KOKKOS_LAMBDA(const Member& member, float* scratch, const Tile& queries, std::int64_t task) {
        float* slopes = partial + task * s.diagonals();
        if (s.M > 0)
          each(member, s.diagonals(), [&](std::int64_t d) { slopes[d] = 0; });
        if (queries.rows == 0)
          return;
        float *q = scratch, *k = q + s.T * s.Zp, *dq_rows = k + s.T * s.Zp, *k_turned = dq_rows + s.T * s.Zp,
              *dout = k_turned + s.Z * s.Tp, *v = dout + s.T * s.Vp, *v_turned = v + s.T * s.Vp,
              *weights = v_turned + s.V * s.Tp, *ds = weights + s.T * s.Tp, *real = ds + s.T * s.Tp;
        of.load_rows(member, q, queries, of.q, of.stride, s.Z, false);
        of.load_rows(member, dout, queries, of.dout, s.V, s.V, false);
        for_key_tiles(member, of, queries, k, k_turned, v, real, [&](const Tile& keys, std::int64_t n) {
          tiles::transpose(member, v_turned, s.Tp, v, s.Vp, keys.rows, s.V);
          product(member, weights, s.Tp, queries.rows, keys.rows, Left{q, s.Zp, 1}, s.Z, k_turned, s.Tp, false);
          product(member, ds, s.Tp, queries.rows, keys.rows, Left{dout, s.Vp, 1}, s.V, v_turned, s.Tp, false);
          of.weigh(member, weights, ds, queries, keys, real, false);
          if (s.M > 0)
            each(member, queries.rows + keys.rows - 1, [&](std::int64_t d) {
              const std::int64_t apart = d - (queries.rows - 1);
              if (s.causal && keys.first + apart > queries.first)
                return;
              const std::int64_t first = apart < 0 ? -apart : 0;
              const std::int64_t last = keys.rows - apart < queries.rows ? keys.rows - apart : queries.rows;
              float sum = 0;
              for (std::int64_t r = first; r < last; ++r)
                sum += ds[r * s.Tp + r + apart];
              slopes[keys.first - keys.begin + apart + s.T - 1] += sum;
            });
          product(member, dq_rows, s.Zp, queries.rows, s.Z, Left{ds, s.Tp, 1}, keys.rows, k, s.Zp, n > 0,
                  of.on_diagonal(queries, keys) ? Sum::up_to_row : Sum::all);
        });
        store_rows(member, of, queries, dq, of.stride, dq_rows, s.Z, of.inverse, false);
      });
}

/// dk and dv of a key tile.
template <class T>
void key_gradients(const Operands<T>& of, T* dk, T* dv) {
  const Sizes s = of.s;
  for_tiles(
      "weft::pointwise_attention_keys", of,
      KOKKOS_LAMBDA(const Member& member, float* scratch, const Tile& keys, std::int64_t) {
        if (keys.rows == 0)
          return;
        float *q = scratch, *dk_rows = q + s.T * s.Zp, *k_turned = dk_rows + s.T * s.Zp, *dout = k_turned + s.Z * s.Tp,
              *dv_rows = dout + s.T * s.Vp, *v_turned = dv_rows + s.T * s.Vp, *weights = v_turned + s.V * s.Tp,
              *ds = weights + s.T * s.Tp, *real = ds + s.T * s.Tp;
        load_keys(member, of, keys, dk_rows, k_turned, dv_rows, real);
        tiles::transpose(member, v_turned, s.Tp, dv_rows, s.Vp, keys.rows, s.V);
        bool some = false;
        for (std::int64_t n = 0; n < s.chunk_tiles(); ++n) {
          const Tile queries = of.beside(keys, n);
          if (queries.rows == 0)
            break;
          if (s.causal && queries.first + queries.rows <= keys.first)
            continue;
          of.load_rows(member, q, queries, of.q, of.stride, s.Z, false);
          of.load_rows(member, dout, queries, of.dout, s.V, s.V, false);
          product(member, weights, s.Tp, queries.rows, keys.rows, Left{q, s.Zp, 1}, s.Z, k_turned, s.Tp, false);
          product(member, ds, s.Tp, queries.rows, keys.rows, Left{dout, s.Vp, 1}, s.V, v_turned, s.Tp, false);
          of.weigh(member, weights, ds, queries, keys, real, true);
          const Sum sum = of.on_diagonal(queries, keys) ? Sum::from_row : Sum::all;
          product(member, dv_rows, s.Vp, keys.rows, s.V, Left{weights, 1, s.Tp}, queries.rows, dout, s.Vp, some, sum);
          product(member, dk_rows, s.Zp, keys.rows, s.Z, Left{ds, 1, s.Tp}, queries.rows, q, s.Zp, some, sum);
          some = true;
        }
        store_rows(member, of, keys, dk, of.stride, dk_rows, s.Z, nullptr, true);
        store_rows(member, of, keys, dv, of.stride, dv_rows, s.V, nullptr, true);
      });
}

/// Over the query tiles in order.
void sum_slopes(const Sizes& s, float* dbias, const float* partial) {
  const std::int64_t all = 2 * s.M - 1, strips = (all + strip_width - 1) / strip_width;
  for_each(
      "weft::pointwise_attention_slopes", strips, KOKKOS_LAMBDA(std::int64_t strip) {
        const std::int64_t first = strip * strip_width;
        const std::int64_t last = first + strip_width < all ? first + strip_width : all;
        float sums[strip_width] = {};
        for (std::int64_t task = 0; task < s.tasks(); ++task) {
          // Number d is distance d - (M - 1), which is number shift + d of the task's.
          const std::int64_t shift = task % s.chunk_tiles() * s.T + s.T - 1 - (s.M - 1);
          const std::int64_t low = first < -shift ? -shift : first;
          const std::int64_t high = last + shift > s.diagonals() ? s.diagonals() - shift : last;
          const float* from = partial + task * s.diagonals() + shift;
          for (std::int64_t d = low; d < high; ++d)
            sums[d - first] += from[d];
        }
        for (std::int64_t d = first; d < last; ++d)
          dbias[d] = sums[d - first];
      });
}

} // namespace

std::int64_t pointwise_attention_workspace(const PointwiseAttention& call) {
  const Sizes s(call);
  return s.S * s.N + (s.M > 0 ? s.tasks() * s.diagonals() : 0);
}

double pointwise_attention_work(const PointwiseAttention& call, bool backward) {
  const Sizes s(call);
  const auto of = [](std::int64_t x) { return static_cast<double>(x); };
  const double rest = of(s.N % s.C), pairs = of(s.S) * (of(s.N / s.C) * of(s.C) * of(s.C) + rest * rest);
  const double products = backward ? of(4 * s.Z + 3 * s.V) : of(s.Z + s.V);
  return 2 * products * pairs / (s.causal ? 2 : 1);
}

template <class T>
void pointwise_attention_forward(const PointwiseAttention& call, T* out, const T* q, const T* k, const T* v,
                                 const float* bias, float* workspace) {
  const TimedRegion timed(&RegionSeconds::attention);
  const Operands<T> of(call, q, k, v, nullptr, bias, workspace);
  const Sizes s = of.s;
  count_keys(call, s, workspace);
  for_tiles(
      "weft::pointwise_attention_forward", of,
      KOKKOS_LAMBDA(const Member& member, float* scratch, const Tile& queries, std::int64_t) {
        if (queries.rows == 0)
          return;
        float *queries_rows = scratch, *rows = queries_rows + s.T * s.Zp, *turned = rows + s.T * s.Zp,
              *weights = turned + s.Z * s.Tp, *values = weights + s.T * s.Tp, *sums = values + s.T * s.Vp,
              *real = sums + s.T * s.Vp;
        of.load_rows(member, queries_rows, queries, of.q, of.stride, s.Z, false);
        for_key_tiles(member, of, queries, rows, turned, values, real, [&](const Tile& keys, std::int64_t n) {
          product(member, weights, s.Tp, queries.rows, keys.rows, Left{queries_rows, s.Zp, 1}, s.Z, turned, s.Tp,
                  false);
          of.weigh(member, weights, nullptr, queries, keys, real, false);
          product(member, sums, s.Vp, queries.rows, s.V, Left{weights, s.Tp, 1}, keys.rows, values, s.Vp, n > 0,
                  of.on_diagonal(queries, keys) ? Sum::up_to_row : Sum::all);
        });
        store_rows(member, of, queries, out, s.V, sums, s.V, nullptr, false);
      });
}

template <class T>
void pointwise_attention_backward(const PointwiseAttention& call, T* dq, T* dk, T* dv, float* dbias, const T* dout,
                                  const T* q, const T* k, const T* v, const float* bias, float* workspace) {
  const TimedRegion timed(&RegionSeconds::attention);
  const Operands<T> of(call, q, k, v, dout, bias, workspace);
  const Sizes s = of.s;
  float* partial = workspace + s.S * s.N;
  count_keys(call, s, workspace);
  query_gradients(of, dq, partial);
  if (s.M > 0)
    sum_slopes(s, dbias, partial);
  key_gradients(of, dk, dv);
}

#define WEFT_POINTWISE_ATTENTION_OF(T)                                                                                 \
  template void pointwise_attention_forward(const PointwiseAttention&, T*, const T*, const T*, const T*, const float*, \
                                            float*);                                                                   \
  template void pointwise_attention_backward(const PointwiseAttention&, T*, T*, T*, float*, const T*, const T*,        \
                                             const T*, const T*, const float*, float*)
WEFT_FOR_EACH_STORAGE(WEFT_POINTWISE_ATTENTION_OF);

} // namespace weft
