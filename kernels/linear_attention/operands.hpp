// What the kernels of linear attention read, and how tiles of it come into scratch memory. Included by
// linear_attention.cpp only.
#pragma once
#include "kernels/common/tiles.hpp"
#include "kernels/linear_attention/linear_attention.hpp"

namespace weft::linear {

using tiles::each_group;
using tiles::Member;

/// What follows from the shape: rows of a chunk and features of a block that are in scratch memory at a time, and parts
/// of a sequence whose state is in the workspace.
struct Sizes {
  /// Features [f0, f0 + width) of rows [begin, end), a part of one head's sequence.
  struct Part {
    std::int64_t f0, width, head, part, begin, end;
  };
  /// Of task = (head, part, block of features).
  KOKKOS_INLINE_FUNCTION Part part_of(std::int64_t task) const {
    const std::int64_t f0 = task % blocks() * F, part = task / blocks() % parts, begin = part * part_rows;
    return {f0,
            Mp - f0 < F ? Mp - f0 : F,
            task / blocks() / parts,
            part,
            begin,
            begin + part_rows < N ? begin + part_rows : N};
  }

  std::int64_t B, N, H, M, Mp, Ev, W; ///< Mp, W: M and Ev + 1 in whole groups of numbers
  std::int64_t C = 0, F = 0, part_rows = 0, parts = 0;
  bool causal;

  explicit Sizes(const LinearAttention& call)
      : B(call.shape.batch), N(call.shape.length), H(call.shape.heads), M(call.features()), Mp(padded_features(M)),
        Ev(call.shape.value_width), W(tiles::padded(Ev + 1)), causal(call.causal) {
    constexpr std::int64_t choices[][2] = {{64, 64}, {32, 32}, {32, 16}, {16, 32}, {16, 16}, {8, 16}, {8, 8}};
    for (const auto& choice : choices) {
      C = choice[0];
      F = choice[1];
      if (scratch() * static_cast<std::int64_t>(sizeof(float)) <= tiles::scratch_limit)
        break;
    }
    part_rows = causal ? C : 8 * C;
    parts = (N + part_rows - 1) / part_rows;
  }
  KOKKOS_INLINE_FUNCTION std::int64_t state() const { return Mp * W; }
  KOKKOS_INLINE_FUNCTION std::int64_t chunks() const { return (N + C - 1) / C; }
  KOKKOS_INLINE_FUNCTION std::int64_t blocks() const { return (Mp + F - 1) / F; }
  KOKKOS_INLINE_FUNCTION std::int64_t states() const { return B * H * parts * state(); }
  /// Floats of the backward pass, which has most: three tiles of values, three of features, a state, two of pairs.
  std::int64_t scratch() const { return 3 * C * W + 3 * C * F + W * F + (causal ? 2 * C * C : 0); }
};

/// A chunk of one head's sequence.
struct Chunk {
  std::int64_t b, h, first, rows;
};

KOKKOS_INLINE_FUNCTION Numbers feature_of(Numbers x, FeatureMap map, float floor) { // a NaN stays one
  return map == FeatureMap::relu ? (x < 0.0f ? Numbers{} + floor : x + floor) : (x > 0.0f ? x + 1.0f : exp_of(x));
}
KOKKOS_INLINE_FUNCTION Numbers slope_of(Numbers x, FeatureMap map) {
  return x > 0.0f ? Numbers{} + 1.0f : map == FeatureMap::relu ? Numbers{} : exp_of(x);
}

/// What the kernels read and write; device code holds a copy.
template <class T>
struct Operands {
  Sizes s;
  FeatureMap map;
  float guard, floor;
  std::int64_t E, stride, stride_out, words;
  const std::uint32_t* seen;
  const T *q, *k, *v;

  Operands(const LinearAttention& call, const T* q_, const T* k_, const T* v_)
      : s(call), map(call.map), guard(call.guard), floor(call.floor), E(call.shape.key_width),
        stride(call.shape.row_stride_qkv), stride_out(call.shape.row_stride_out), words((s.N + 31) / 32),
        seen(call.seen), q(q_), k(k_), v(v_) {}

  KOKKOS_INLINE_FUNCTION Chunk chunk(std::int64_t head, std::int64_t first) const {
    return {head / s.H, head % s.H, first, s.N - first < s.C ? s.N - first : s.C};
  }
  KOKKOS_INLINE_FUNCTION bool real(const Chunk& c, std::int64_t r) const {
    return tiles::is_seen(seen, words, c.b, c.first + r);
  }
  KOKKOS_INLINE_FUNCTION std::int64_t feature_row(const Chunk& c, std::int64_t r) const {
    return ((c.b * s.H + c.h) * s.N + c.first + r) * s.Mp;
  }
  KOKKOS_INLINE_FUNCTION std::int64_t key_at(const Chunk& c, std::int64_t r) const {
    return (c.b * s.N + c.first + r) * stride + c.h * E;
  }
  KOKKOS_INLINE_FUNCTION std::int64_t value_at(const Chunk& c, std::int64_t r) const {
    return (c.b * s.N + c.first + r) * stride + c.h * s.Ev;
  }
  KOKKOS_INLINE_FUNCTION std::int64_t out_at(const Chunk& c, std::int64_t r) const {
    return (c.b * s.N + c.first + r) * stride_out + c.h * s.Ev;
  }

  /// tile (rows, F): features f0 .. f0 + width - 1 of q or k. `keys`: rows that are not real are 0.
  KOKKOS_INLINE_FUNCTION void load_features(const Member& member, float* tile, const Chunk& c, const T* x,
                                            const float* phi, std::int64_t f0, std::int64_t width, bool keys) const {
    each_group(member, c.rows, width, [&](std::int64_t r, std::int64_t j, std::int64_t) {
      const std::int64_t f = f0 + j, valid = s.M - f < number_count ? s.M - f : number_count;
      Numbers value = Numbers{};
      if (valid > 0 && (!keys || real(c, r)))
        value = map == FeatureMap::given
                    ? numbers_at(phi + feature_row(c, r) + f, number_count)
                    : first_of(feature_of(numbers_at(x + key_at(c, r) + f, valid), map, floor), valid);
      put_numbers(tile + r * s.F + j, value, number_count);
    });
  }
  KOKKOS_INLINE_FUNCTION void load_queries(const Member& member, float* tile, const Chunk& c, const float* phi,
                                           std::int64_t f0, std::int64_t width) const {
    load_features(member, tile, c, q, phi, f0, width, false);
  }
  KOKKOS_INLINE_FUNCTION void load_keys(const Member& member, float* tile, const Chunk& c, const float* phi,
                                        std::int64_t f0, std::int64_t width) const {
    load_features(member, tile, c, k, phi, f0, width, true);
  }

  /// tile (rows, W): [v_j, 1], 0 for rows that are not real.
  KOKKOS_INLINE_FUNCTION void load_values(const Member& member, float* tile, const Chunk& c) const {
    each_group(member, c.rows, s.W, [&](std::int64_t r, std::int64_t j, std::int64_t) {
      const std::int64_t valid = s.Ev - j < number_count ? s.Ev - j : number_count;
      put_numbers(tile + r * s.W + j, valid > 0 && real(c, r) ? numbers_at(v + value_at(c, r) + j, valid) : Numbers{},
                  number_count);
    });
    each(member, c.rows, [&](std::int64_t r) { tile[r * s.W + s.Ev] = real(c, r) ? 1.0f : 0.0f; });
  }

  /// tile (rows, W): e_i of the contract.
  KOKKOS_INLINE_FUNCTION void load_errors(const Member& member, float* tile, const Chunk& c, const T* dout,
                                          const T* out, const float* denominators) const {
    const float* d = denominators + (c.b * s.H + c.h) * s.N + c.first;
    each_group(member, c.rows, s.W, [&](std::int64_t r, std::int64_t j, std::int64_t) {
      const std::int64_t valid = s.Ev - j < number_count ? s.Ev - j : number_count;
      put_numbers(tile + r * s.W + j,
                  valid > 0 && d[r] != 0.0f ? numbers_at(dout + out_at(c, r) + j, valid) / d[r] : Numbers{},
                  number_count);
    });
    each(member, c.rows, [&](std::int64_t r) {
      const T *g = dout + out_at(c, r), *o = out + out_at(c, r);
      const float dot = sum_of_numbers(s.Ev, [&](std::int64_t j, std::int64_t count) {
        return numbers_at(g + j, count) * numbers_at(o + j, count);
      });
      tile[r * s.W + s.Ev] = d[r] != 0.0f ? -dot / d[r] : 0.0f;
    });
  }

  /// The gradient of features, to q's or k's own.
  KOKKOS_INLINE_FUNCTION void store_gradient(const Member& member, const float* tile, const Chunk& c, T* dx, const T* x,
                                             float* phi, std::int64_t f0, std::int64_t width, bool keys) const {
    each_group(member, c.rows, width, [&](std::int64_t r, std::int64_t j, std::int64_t) {
      const std::int64_t f = f0 + j, valid = s.M - f < number_count ? s.M - f : number_count;
      if (valid <= 0)
        return;
      const Numbers d = numbers_at(tile + r * s.F + j, number_count);
      const bool zero = keys && !real(c, r);
      if (map == FeatureMap::given) {
        float* to = phi + feature_row(c, r) + f;
        put_numbers(to, zero ? Numbers{} : first_of(d * (numbers_at(to, number_count) - floor), valid), number_count);
      } else {
        put_numbers(dx + key_at(c, r) + f,
                    zero ? Numbers{} : d * slope_of(numbers_at(x + key_at(c, r) + f, valid), map), valid);
      }
    });
  }
};

} // namespace weft::linear
