// The team version of the three kernels, written for a GPU block and correct on any Kokkos device: one team per tile,
// 32 x 32 scores in scratch memory, rows staged in chunks of 32 widths. Included by attention.cpp only.
#pragma once
#include "kernels/attention/attention_tables.hpp"
#include "kernels/common/kokkos.hpp"

namespace weft::detail::team {

constexpr int tile = query_tile;
constexpr int ld = tile + 1; ///< one more than a power of two: columns fall into different banks
constexpr int chunk = 32;

using TeamPolicy = Kokkos::TeamPolicy<Space, Kokkos::Schedule<Kokkos::Dynamic>, Kokkos::IndexType<std::int64_t>>;
using Member = TeamPolicy::member_type;

/// Floats of scratch: scores, two staged chunks, three rows of statistics, and `last`: the output tile of the forward
/// pass or the second score tile of the backward pass. At value width 256 that is 46 KB: it fits every GPU's 48 KB.
constexpr int backward_last = tile * ld;
KOKKOS_INLINE_FUNCTION constexpr int forward_last(int value_width) { return tile * value_width; }
KOKKOS_INLINE_FUNCTION constexpr int scratch_floats(int last) { return 3 * tile * ld + 3 * tile + last; }

struct Scratch {
  float *s, *left, *right, *maximum, *sum, *factor, *o, *ds;
  KOKKOS_INLINE_FUNCTION explicit Scratch(float* at)
      : s(at), left(s + tile * ld), right(left + tile * ld), maximum(right + tile * ld), sum(maximum + tile),
        factor(sum + tile), o(factor + tile), ds(o) {}
};

KOKKOS_INLINE_FUNCTION Scratch scratch_of(const Member& member, int last) {
  const int bytes = static_cast<int>(sizeof(float)) * scratch_floats(last);
  return Scratch(static_cast<float*>(member.team_scratch(0).get_shmem(bytes)));
}

/// body(i) for i in [0, n), then a barrier.
template <class Body>
KOKKOS_INLINE_FUNCTION void each(const Member& member, int n, const Body& body) {
  Kokkos::parallel_for(Kokkos::TeamThreadRange(member, n), body);
  member.team_barrier();
}

/// s[i, j] = sum over e < width of a_i[e] b_j[e]; rows that do not exist (position -1) count as 0.
template <class A, class B>
KOKKOS_INLINE_FUNCTION void pair_products(const Member& member, const Scratch& scratch, float* s, const A* a,
                                          std::int64_t stride_a, const int* position_a, const B* b,
                                          std::int64_t stride_b, const int* position_b, int width) {
  each(member, tile * tile, [&](int n) { s[n / tile * ld + n % tile] = 0; });
  for (int e0 = 0; e0 < width; e0 += chunk) {
    const int depth = width - e0 < chunk ? width - e0 : chunk;
    each(member, tile * chunk, [&](int n) {
      const int r = n / chunk, e = n % chunk;
      const bool in = e < depth;
      scratch.left[r * ld + e] = in && position_a[r] >= 0 ? load(a[position_a[r] * stride_a + e0 + e]) : 0.0f;
      scratch.right[r * ld + e] = in && position_b[r] >= 0 ? load(b[position_b[r] * stride_b + e0 + e]) : 0.0f;
    });
    each(member, tile * tile, [&](int n) {
      const int i = n / tile, j = n % tile;
      float sum = s[i * ld + j];
      for (int e = 0; e < depth; ++e)
        sum += scratch.left[i * ld + e] * scratch.right[j * ld + e];
      s[i * ld + j] = sum;
    });
  }
}

/// Bit j of the result: query slot i sees key slot j.
KOKKOS_INLINE_FUNCTION std::uint32_t seen(const PartTables& part, TileEntry entry, int i) {
  return entry.mask == full_tile ? ~0u : part.masks[entry.mask].of_query[i];
}

/// Bit s: key slot s is a real key of sequence b. All 32 bits in a call without key bits.
KOKKOS_INLINE_FUNCTION std::uint32_t live_keys(const Widening& widening, std::int64_t b, const int* key_position) {
  if (!widening.seen)
    return ~0u;
  const std::uint32_t* words = widening.seen + b * widening.seen_words;
  std::uint32_t live = 0;
  for (int s = 0; s < tile; ++s)
    if (key_position[s] >= 0)
      live |= (words[key_position[s] / 32] >> (key_position[s] % 32) & 1u) << s;
  return live;
}

/// work(entry, key_position, live) for the key tiles of query tile t that have a live key of sequence b.
template <class Call, class Work>
KOKKOS_INLINE_FUNCTION void for_key_tiles(const Call& call, const PartTables& part, std::int64_t b, int t,
                                          const Work& work) {
  for (int n = part.key_tiles_begin[t]; n < part.key_tiles_begin[t + 1]; ++n) {
    const TileEntry entry = part.key_tiles_entries[n];
    const int* key_position = part.key_position + entry.tile * tile;
    const std::uint32_t live = live_keys(call.widening, b, key_position);
    if (live != 0)
      work(entry, key_position, live);
  }
}

/// Whether dropout keeps the weight of the query at position i and the key at position j of head h.
struct Keeper {
  const Widening& widening;
  RandomKey key;
  std::uint32_t threshold;
  KOKKOS_INLINE_FUNCTION Keeper(const Widening& w, std::int64_t b)
      : widening(w), key(key_of(w.dropout, b)), threshold(dropout_threshold(w.dropout.probability)) {}
  KOKKOS_INLINE_FUNCTION bool operator()(int h, int i, int j) const {
    const std::uint64_t element = dropout_element(widening, h, i, j);
    return dropout_keeps(random4(key, static_cast<std::uint32_t>(element / 4)).x[element % 4], threshold);
  }
};

/// s += the scores that the call adds, in the unit of s, which must still be multiplied by `scale`.
KOKKOS_INLINE_FUNCTION void add_scores(const Member& member, const Scratch& scratch, const Widening& widening, int h,
                                       const int* query_position, const int* key_position, float scale) {
  each(member, tile * tile, [&](int n) {
    const int i = n / tile, j = n % tile;
    if (query_position[i] >= 0 && key_position[j] >= 0)
      scratch.s[i * ld + j] += added_score(widening, h, query_position[i], key_position[j]) / scale;
  });
}

/// s -> p of one key tile, 0 where a pair is not seen; moves the running maximum and sum, and leaves in `factor` what
/// earlier sums must be multiplied by.
KOKKOS_INLINE_FUNCTION void softmax_rows(const Member& member, const Scratch& scratch, const PartTables& part,
                                         TileEntry entry, std::uint32_t live, float scale) {
  const float infinity = Kokkos::Experimental::infinity_v<float>;
  each(member, tile, [&](int i) {
    const std::uint32_t bits = seen(part, entry, i) & live;
    float* s = scratch.s + i * ld;
    float maximum = scratch.maximum[i], sum = 0;
    for (int j = 0; j < tile; ++j) {
      s[j] = bits >> j & 1u ? s[j] * scale : -infinity;
      maximum = s[j] > maximum ? s[j] : maximum;
    }
    const float shift = maximum == -infinity ? 0.0f : maximum;
    for (int j = 0; j < tile; ++j) {
      s[j] = bits >> j & 1u ? Kokkos::exp(s[j] - shift) : 0.0f;
      sum += s[j];
    }
    scratch.factor[i] = Kokkos::exp(scratch.maximum[i] - shift);
    scratch.maximum[i] = maximum;
    scratch.sum[i] = scratch.sum[i] * scratch.factor[i] + sum;
  });
}

/// p -> m p for one pair of tiles.
KOKKOS_INLINE_FUNCTION void drop_weights(const Member& member, const Scratch& scratch, const Keeper& keeps, int h,
                                         const int* query_position, const int* key_position) {
  each(member, tile * tile, [&](int m) {
    const int i = m / tile, j = m % tile;
    if (query_position[i] >= 0 && key_position[j] >= 0 && !keeps(h, query_position[i], key_position[j]))
      scratch.s[i * ld + j] = 0;
  });
}

/// o = factor o + p v
template <class T>
KOKKOS_INLINE_FUNCTION void add_values(const Member& member, const Scratch& scratch, int value_width, const T* v,
                                       std::int64_t stride, const int* key_position) {
  each(member, tile * value_width, [&](int m) {
    const int i = m / value_width, e = m % value_width;
    const float* weight = scratch.s + i * ld;
    float sum = scratch.o[m] * scratch.factor[i];
    for (int j = 0; j < tile; ++j)
      if (weight[j] != 0) // a value that is not seen may be NaN
        sum += weight[j] * load(v[key_position[j] * stride + e]);
    scratch.o[m] = sum;
  });
}

/// Forward: one query tile. `dropped`: with attention dropout.
template <bool dropped, class T>
KOKKOS_INLINE_FUNCTION void forward_tile(const Member& member, const ForwardCall<T>& call, std::int64_t b, int h,
                                         int t) {
  const AttentionShape& shape = call.shape;
  const int group = h % call.groups, width = static_cast<int>(shape.key_width);
  const int value_width = static_cast<int>(shape.value_width);
  const int* begin = call.pass_begin + group * (call.passes + 1);
  const int first_part = begin[call.pass], end_part = begin[call.pass + 1];
  if (call.pass > 0 && first_part == end_part)
    return;
  const bool last = end_part == begin[call.passes];
  const PartTables* parts = call.parts + group * call.parts_per_group;
  const auto position = [&](int r) {
    const std::int64_t slot = t * tile + r;
    return first_part < end_part ? parts[first_part].query_position[slot]
                                 : (slot < shape.length ? static_cast<int>(slot) : -1);
  };
  const Scratch scratch = scratch_of(member, forward_last(value_width));
  const float infinity = Kokkos::Experimental::infinity_v<float>;
  const std::int64_t row = b * shape.length, statistics = (b * shape.heads + h) * shape.length;
  float* open = call.open + row * call.open_stride + h * value_width;

  each(member, tile, [&](int r) {
    const bool go_on = call.pass > 0 && position(r) >= 0;
    scratch.maximum[r] = go_on ? call.lse[statistics + position(r)] : -infinity;
    scratch.sum[r] = go_on ? call.sum[statistics + position(r)] : 0.0f;
  });
  each(member, tile * value_width, [&](int n) {
    const int r = n / value_width, e = n % value_width;
    scratch.o[n] = call.pass > 0 && position(r) >= 0 ? open[position(r) * call.open_stride + e] : 0.0f;
  });

  const T* q = call.q + row * shape.row_stride_qkv + h * width;
  const T* k = call.k + b * shape.key_length * shape.row_stride_kv + h * width;
  const T* v = call.v + b * shape.key_length * shape.row_stride_kv + h * value_width;
  for (int p = first_part; p < end_part; ++p) {
    const PartTables& part = parts[p];
    for_key_tiles(call, part, b, t, [&](TileEntry entry, const int* key_position, std::uint32_t live) {
      pair_products(member, scratch, scratch.s, q, shape.row_stride_qkv, part.query_position + t * tile, k,
                    shape.row_stride_kv, key_position, width);
      if (call.widening.adds_scores())
        add_scores(member, scratch, call.widening, h, part.query_position + t * tile, key_position, call.scale);
      softmax_rows(member, scratch, part, entry, live, call.scale);
      if constexpr (dropped) // after the sums that normalise: out = sum of m p v / (1 - p)
        drop_weights(member, scratch, Keeper(call.widening, b), h, part.query_position + t * tile, key_position);
      add_values(member, scratch, value_width, v, shape.row_stride_kv, key_position);
    });
  }

  each(member, tile, [&](int r) {
    if (position(r) < 0)
      return;
    const float sum = scratch.sum[r];
    scratch.factor[r] = !last ? 1.0f : sum == 0 ? 0.0f : call.widening.kept / sum;
    call.lse[statistics + position(r)] =
        !last ? scratch.maximum[r] : (sum == 0 ? -infinity : scratch.maximum[r] + Kokkos::log(sum));
    if (!last)
      call.sum[statistics + position(r)] = sum;
  });
  each(member, tile * value_width, [&](int n) {
    const int r = n / value_width, e = n % value_width;
    if (position(r) < 0)
      return;
    if (last)
      call.out[(row + position(r)) * shape.row_stride_out + h * value_width + e] =
          store<T>(scratch.o[n] * scratch.factor[r]);
    else
      open[position(r) * call.open_stride + e] = scratch.o[n];
  });
}

/// s -> m p / (1 - p) and ds for one pair of tiles, both 0 where no pair is seen; without dropout m is 1 and p is 0.
template <bool dropped, class T>
KOKKOS_INLINE_FUNCTION void probabilities_and_slopes(const Member& member, const BackwardCall<T>& call,
                                                     const PartTables& part, const Scratch& scratch, TileEntry entry,
                                                     std::uint32_t live, std::int64_t b, int h, int query_tile_number,
                                                     int key_tile_number) {
  const AttentionShape& shape = call.shape;
  const int width = static_cast<int>(shape.key_width), value_width = static_cast<int>(shape.value_width);
  const std::int64_t row = b * shape.length, statistics = (b * shape.heads + h) * shape.length;
  const std::int64_t key_row = b * shape.key_length;
  const int* query_position = part.query_position + query_tile_number * tile;
  const int* key_position = part.key_position + key_tile_number * tile;
  pair_products(member, scratch, scratch.s, call.q + row * shape.row_stride_qkv + h * width, shape.row_stride_qkv,
                query_position, call.k + key_row * shape.row_stride_kv + h * width, shape.row_stride_kv, key_position,
                width);
  if (call.widening.adds_scores())
    add_scores(member, scratch, call.widening, h, query_position, key_position, call.scale);
  pair_products(member, scratch, scratch.ds, call.dout + row * shape.row_stride_out + h * value_width,
                shape.row_stride_out, query_position, call.v + key_row * shape.row_stride_kv + h * value_width,
                shape.row_stride_kv, key_position, value_width);
  [[maybe_unused]] const Keeper keeps(call.widening, b);
  each(member, tile * tile, [&](int n) {
    const int i = n / tile, j = n % tile;
    float p = 0, ds = 0;
    if ((seen(part, entry, i) & live) >> j & 1u) {
      bool keep = true;
      if constexpr (dropped) {
        keep = keeps(h, query_position[i], key_position[j]);
        scratch.ds[i * ld + j] = keep ? scratch.ds[i * ld + j] * call.widening.kept : 0.0f;
      }
      p = Kokkos::exp(scratch.s[i * ld + j] * call.scale - call.lse[statistics + query_position[i]]);
      ds = p * (scratch.ds[i * ld + j] - call.delta[statistics + query_position[i]]) * call.scale;
      if constexpr (dropped)
        p = keep ? p * call.widening.kept : 0.0f;
    }
    scratch.s[i * ld + j] = p;
    scratch.ds[i * ld + j] = ds;
  });
}

/// dq of one query tile over the key tiles of part call.part.
template <bool dropped, class T>
KOKKOS_INLINE_FUNCTION void query_gradient_tile(const Member& member, const BackwardCall<T>& call,
                                                const PartTables& part, std::int64_t b, int h, int t) {
  const AttentionShape& shape = call.shape;
  const int width = static_cast<int>(shape.key_width);
  const std::int64_t row = b * shape.length, key_row = b * shape.key_length;
  const Scratch scratch = scratch_of(member, backward_last);
  const int* query_position = part.query_position + t * tile;
  for_key_tiles(call, part, b, t, [&](TileEntry entry, const int* key_position, std::uint32_t live) {
    probabilities_and_slopes<dropped>(member, call, part, scratch, entry, live, b, h, t, entry.tile);
    each(member, tile * width, [&](int m) {
      const int i = m / width, e = m % width;
      if (query_position[i] < 0)
        return;
      float sum = 0;
      for (int j = 0; j < tile; ++j)
        if (key_position[j] >= 0 && (live >> j & 1u)) // a key that is not live may be NaN
          sum +=
              scratch.ds[i * ld + j] * load(call.k[(key_row + key_position[j]) * shape.row_stride_kv + h * width + e]);
      call.dq[(row + query_position[i]) * call.dq_stride + h * width + e] += sum;
    });
  });
}

/// dk and dv of one key tile over the query tiles of part call.part.
template <bool dropped, class T>
KOKKOS_INLINE_FUNCTION void key_gradient_tile(const Member& member, const BackwardCall<T>& call, const PartTables& part,
                                              std::int64_t b, int h, int kt) {
  const AttentionShape& shape = call.shape;
  const int width = static_cast<int>(shape.key_width), value_width = static_cast<int>(shape.value_width);
  const std::int64_t row = b * shape.length, key_row = b * shape.key_length;
  const Scratch scratch = scratch_of(member, backward_last);
  const int* key_position = part.key_position + kt * tile;
  const std::uint32_t live = live_keys(call.widening, b, key_position);
  if (live == 0)
    return;
  for (int n = part.query_tiles_begin[kt]; n < part.query_tiles_begin[kt + 1]; ++n) {
    const TileEntry entry = part.query_tiles_entries[n];
    const int* query_position = part.query_position + entry.tile * tile;
    probabilities_and_slopes<dropped>(member, call, part, scratch, entry, live, b, h, entry.tile, kt);
    each(member, tile * (width + value_width), [&](int m) {
      const int j = m / (width + value_width), e = m % (width + value_width);
      if (key_position[j] < 0 || !(live >> j & 1u))
        return;
      const bool value = e >= width;
      const float* weight = (value ? scratch.s : scratch.ds) + j;
      float sum = 0;
      for (int i = 0; i < tile; ++i)
        if (query_position[i] >= 0)
          sum +=
              weight[i * ld] *
              (value ? load(call.dout[(row + query_position[i]) * shape.row_stride_out + h * value_width + e - width])
                     : load(call.q[(row + query_position[i]) * shape.row_stride_qkv + h * width + e]));
      float* to = value ? call.dv + (key_row + key_position[j]) * call.dv_stride + h * value_width + e - width
                        : call.dk + (key_row + key_position[j]) * call.dk_stride + h * width + e;
      *to += sum;
    });
  }
}

/// ddistances += the sums of ds over the pairs of a tile that are equally far apart. A thread takes whole distances, so
/// that no two add to one.
KOKKOS_INLINE_FUNCTION void add_distance_slopes(const Member& member, float* ddistances, int reach, const float* ds,
                                                float scale, const int* query_position, const int* key_position) {
  // Distances modulo 2^k: pairs of one distance always go to one thread.
  constexpr int shares = 128;
  each(member, shares, [&](int share) {
    for (int i = 0; i < tile && query_position[i] >= 0; ++i)
      for (int j = 0; j < tile && key_position[j] >= 0; ++j) {
        const int place = distance_place(reach, query_position[i], key_position[j]);
        if (place >= 0 && place % shares == share)
          ddistances[place] += ds[i * ld + j] / scale;
      }
  });
}

/// The gradient of the scores that the call adds, in one query tile over the key tiles of part call.part: all sequences
/// in order.
template <bool dropped, class T>
KOKKOS_INLINE_FUNCTION void added_gradient_tile(const Member& member, const BackwardCall<T>& call,
                                                const PartTables& part, int h, int t) {
  const Scratch scratch = scratch_of(member, backward_last);
  const int* query_position = part.query_position + t * tile;
  for (int n = part.key_tiles_begin[t]; n < part.key_tiles_begin[t + 1]; ++n) {
    const TileEntry entry = part.key_tiles_entries[n];
    const int* key_position = part.key_position + entry.tile * tile;
    for (std::int64_t b = 0; b < call.shape.batch; ++b) {
      const std::uint32_t live = live_keys(call.widening, b, key_position);
      if (live == 0)
        continue;
      probabilities_and_slopes<dropped>(member, call, part, scratch, entry, live, b, h, t, entry.tile);
      if (call.ddistances) {
        add_distance_slopes(member, call.ddistances, call.widening.reach, scratch.ds, call.scale, query_position,
                            key_position);
        continue;
      }
      each(member, tile * tile, [&](int m) {
        const int i = m / tile, j = m % tile;
        if (query_position[i] >= 0 && key_position[j] >= 0)
          table_row(call.dtable, call.widening.table_stride, h, query_position[i])[key_position[j]] +=
              scratch.ds[i * ld + j] / call.scale;
      });
    }
  }
}

} // namespace weft::detail::team
