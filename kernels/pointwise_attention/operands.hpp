// What the kernels of pointwise attention read, and how tiles of it come into scratch memory. Included by
// pointwise_attention.cpp only.
#pragma once
#include "kernels/common/tiles.hpp"
#include "kernels/pointwise_attention/functions.hpp"
#include "kernels/pointwise_attention/pointwise_attention.hpp"

namespace weft::pointwise {

using tiles::each_group;
using tiles::Member;

/// What follows from the call: rows of a tile, and where things lie. S, N, Z, V, C, M as there.
struct Sizes {
  std::int64_t S, N, Z, V, C, M, Zp, Vp; ///< Zp, Vp: Z and V in whole groups of numbers
  std::int64_t T = 0, Tp = 0;            ///< rows of a tile, and that in whole groups
  bool causal;

  explicit Sizes(const PointwiseAttention& c)
      : S(c.sequences), N(c.length), Z(c.key_width), V(c.value_width),
        C(c.chunk > 0 && c.chunk < c.length ? c.chunk : c.length), M(c.reach), Zp(tiles::padded(Z)),
        Vp(tiles::padded(V)), causal(c.causal) {
    for (T = 64; T > 1; T /= 2) {
      Tp = tiles::padded(T);
      if (scratch() * static_cast<std::int64_t>(sizeof(float)) <= tiles::scratch_limit)
        break;
    }
    Tp = tiles::padded(T);
  }
  /// Floats of a task: three tiles of queries or keys and one turned, three of values, one of them turned, two of
  /// pairs.
  std::int64_t scratch() const { return 3 * T * Zp + Z * Tp + 2 * T * Vp + V * Tp + 2 * T * Tp + T; }
  KOKKOS_INLINE_FUNCTION std::int64_t chunks() const { return (N + C - 1) / C; }
  KOKKOS_INLINE_FUNCTION std::int64_t chunk_tiles() const { return (C + T - 1) / T; }
  KOKKOS_INLINE_FUNCTION std::int64_t tasks() const { return S * chunks() * chunk_tiles(); }
  /// Distances of a query tile and its chunk: number key - query + T - 1, both counted within tile and chunk.
  KOKKOS_INLINE_FUNCTION std::int64_t diagonals() const { return C + T - 1; }
};

/// A tile of a sequence: rows [first, first + rows) of the chunk [begin, end).
struct Tile {
  std::int64_t b, begin, end, first, rows;
};

/// What the kernels read; device code holds a copy.
template <class T>
struct Operands {
  Sizes s;
  bool laplace;
  std::int64_t stride, words, dropout_stride;
  const std::uint32_t* seen;
  Dropout dropout;
  float kept; ///< 1 / (1 - p)
  const T *q, *k, *v, *dout;
  const float *bias, *inverse; ///< inverse [S,N]: 1 / n_i

  Operands(const PointwiseAttention& c, const T* q_, const T* k_, const T* v_, const T* dout_, const float* bias_,
           const float* inverse_)
      : s(c), laplace(c.function == PointFunction::laplace), stride(c.stride), words((c.length + 31) / 32),
        dropout_stride(c.dropout_stride > 0 ? c.dropout_stride : c.length), seen(c.seen), dropout(c.dropout),
        kept(1.0f / (1.0f - c.dropout.probability)), q(q_), k(k_), v(v_), dout(dout_), bias(bias_), inverse(inverse_) {}

  /// Tile number `at` of a chunk; without rows behind the chunk's end.
  KOKKOS_INLINE_FUNCTION Tile tile(std::int64_t b, std::int64_t chunk, std::int64_t at) const {
    const std::int64_t begin = chunk * s.C, end = begin + s.C < s.N ? begin + s.C : s.N, first = begin + at * s.T;
    return {b, begin, end, first, first >= end ? 0 : end - first < s.T ? end - first : s.T};
  }
  KOKKOS_INLINE_FUNCTION Tile tile_of(std::int64_t task) const {
    const std::int64_t chunk = task / s.chunk_tiles();
    return tile(chunk / s.chunks(), chunk % s.chunks(), task % s.chunk_tiles());
  }
  KOKKOS_INLINE_FUNCTION Tile beside(const Tile& t, std::int64_t at) const { return tile(t.b, t.begin / s.C, at); }
  /// Whether some pairs of the tiles are seen and some are not, because the keys are later.
  KOKKOS_INLINE_FUNCTION bool on_diagonal(const Tile& queries, const Tile& keys) const {
    return s.causal && queries.first == keys.first;
  }
  KOKKOS_INLINE_FUNCTION bool real(const Tile& t, std::int64_t r) const {
    return tiles::is_seen(seen, words, t.b, t.first + r);
  }
  KOKKOS_INLINE_FUNCTION std::int64_t row(const Tile& t, std::int64_t r) const { return t.b * s.N + t.first + r; }

  /// to (rows, padded width) = rows of x that are `apart` apart; of keys and values those that are not real are 0.
  KOKKOS_INLINE_FUNCTION void load_rows(const Member& member, float* to, const Tile& t, const T* x, std::int64_t apart,
                                        std::int64_t width, bool keys) const {
    const std::int64_t ld = tiles::padded(width);
    each_group(member, t.rows, width, [&](std::int64_t r, std::int64_t j, std::int64_t count) {
      put_numbers(to + r * ld + j, !keys || real(t, r) ? numbers_at(x + row(t, r) * apart + j, count) : Numbers{},
                  number_count);
    });
  }
  KOKKOS_INLINE_FUNCTION void load_real(const Member& member, float* to, const Tile& t) const {
    each(member, t.rows, [&](std::int64_t r) { to[r] = real(t, r) ? 1.0f : 0.0f; });
  }

  /// bias of the distances d, d + 1, ...
  KOKKOS_INLINE_FUNCTION Numbers bias_at(std::int64_t d, std::int64_t count) const {
    if (d > -s.M && d + count - 1 < s.M)
      return numbers_at(bias + s.M - 1 + d, count);
    float some[number_count] = {};
    for (std::int64_t l = 0; l < count; ++l)
      some[l] = d + l > -s.M && d + l < s.M ? bias[s.M - 1 + d + l] : 0.0f;
    return numbers_at(some, number_count);
  }

  /// What weights of row i are multiplied by for keys j, j + 1, ...: whether they are seen, and dropout.
  KOKKOS_INLINE_FUNCTION Numbers factors(const Tile& queries, std::int64_t i, std::int64_t j, std::int64_t count,
                                         const float* real_keys) const {
    Numbers factor = numbers_at(real_keys, count);
    if (s.causal && j + count - 1 > i)
      factor = j > i ? Numbers{} : first_of(factor, i - j + 1);
    if (dropout.probability > 0) {
      const std::uint32_t threshold = dropout_threshold(dropout.probability);
      const RandomKey key = key_of(dropout, queries.b);
      float some[number_count] = {};
      for (std::int64_t l = 0; l < count; ++l) {
        const std::int64_t n = i * dropout_stride + j + l;
        some[l] = dropout_keeps(random4(key, static_cast<std::uint32_t>(n / 4)).x[n % 4], threshold) ? kept : 0.0f;
      }
      factor = factor * numbers_at(some, number_count);
    }
    return factor;
  }

  /// products (query, key) -> weights; d, unless null: dout . v -> ds, with `divided` over n_i. real_keys: 1 or 0.
  KOKKOS_INLINE_FUNCTION void weigh(const Member& member, float* products, float* d, const Tile& queries,
                                    const Tile& keys, const float* real_keys, bool divided) const {
    each_group(member, queries.rows, keys.rows, [&](std::int64_t r, std::int64_t c, std::int64_t count) {
      const std::int64_t i = queries.first + r, j = keys.first + c;
      const float over = inverse[queries.b * s.N + i];
      float *at = products + r * s.Tp + c, *slope_at = d + r * s.Tp + c;
      Numbers score = numbers_at(at, number_count) * over;
      if (s.M > 0)
        score = score + bias_at(j - i, count);
      const Numbers factor = factors(queries, i, j, count, real_keys + c);
      if (!d)
        return put_numbers(at, factor * (laplace ? Laplace::value(score) : SquaredRelu::value(score)), number_count);
      Numbers weight, slope;
      if (laplace)
        Laplace::both(score, weight, slope);
      else
        SquaredRelu::both(score, weight, slope);
      put_numbers(at, factor * weight, number_count);
      const Numbers ds = factor * slope * numbers_at(slope_at, number_count);
      put_numbers(slope_at, divided ? ds * over : ds, number_count);
    });
  }
};

} // namespace weft::pointwise
