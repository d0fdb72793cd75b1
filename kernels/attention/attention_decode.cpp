#include "kernels/attention/attention_decode.hpp"
#include "kernels/common/exponential.hpp"
#include "kernels/common/instantiate.hpp"
#include "kernels/common/kokkos.hpp"

namespace weft {

namespace {
constexpr int piece_keys = 256; ///< keys of one piece: one task
constexpr int block_keys = 32;  ///< keys whose scores are held at once
constexpr int group_lanes = 4;  ///< vectors of the output that are summed in registers
constexpr int most_lanes = attention_width_limit / lane_count;

std::int64_t pieces_of(std::int64_t keys) { return (keys + piece_keys - 1) / piece_keys; }

/// Row j of the cache, or the new one, which is not in the cache yet: other tasks may be reading there.
template <class T>
struct CachedRows {
  const T* cache;
  const T* newest; ///< padded like a row of the cache
  std::int64_t width;
  int newest_row;
  KOKKOS_INLINE_FUNCTION const T* operator()(int j) const { return j == newest_row ? newest : cache + j * width; }
};

/// Has a row of `lanes` vectors fetched: rows that a list names lie apart, which the processor does not foresee.
template <class T>
KOKKOS_INLINE_FUNCTION void ask_for(const T* row, int lanes) {
#ifndef WEFT_CUDA
  for (int e = 0; e < lanes * lane_count; e += 64 / static_cast<int>(sizeof(T)))
    __builtin_prefetch(row + e);
#else
  (void)row;
  (void)lanes;
#endif
}

/// score[j] = scale q . k_j for n <= block_keys keys; their values are fetched, and of the `listed` keys that the list
/// holds from here on those that the next block takes.
template <class T>
KOKKOS_FORCEINLINE_FUNCTION void score_block(float* score, const Lanes* q, int key_lanes, int value_lanes,
                                             const CachedRows<T>& key_rows, const CachedRows<T>& value_rows,
                                             const int* keys, int n, int listed, float scale) {
  for (int j0 = 0; j0 < n; j0 += lane_count) {
    Lanes dots[lane_count];
    const int some = n - j0 < lane_count ? n - j0 : lane_count;
    for (int j = 0; j < some; ++j) {
      const T* k = key_rows(keys[j0 + j]);
      Lanes dot = q[0] * lanes_at(k);
      for (int e = 1; e < key_lanes; ++e)
        dot = dot + q[e] * lanes_at(k + e * lane_count);
      dots[j] = dot;
      if (j0 + j + block_keys < listed)
        ask_for(key_rows(keys[j0 + j + block_keys]), key_lanes);
      ask_for(value_rows(keys[j0 + j]), value_lanes);
    }
    for (int j = some; j < lane_count; ++j)
      dots[j] = Lanes{};
    put_lanes(score + j0, scale * sums_of(dots));
  }
}

/// sums = factor sums + sum over n keys of weight_j v_j
template <class T>
KOKKOS_FORCEINLINE_FUNCTION void add_block(Lanes* sums, float factor, const float* weight, int value_lanes,
                                           const CachedRows<T>& value_rows, const int* keys, int n) {
  for (int e = 0; e < value_lanes; e += group_lanes) {
    Lanes sum[group_lanes];
    const int lanes = value_lanes - e < group_lanes ? value_lanes - e : group_lanes;
    if (lanes == group_lanes) {
      for (int c = 0; c < group_lanes; ++c)
        sum[c] = factor * sums[e + c];
      for (int j = 0; j < n; ++j) {
        const T* v = value_rows(keys[j]) + e * lane_count;
        for (int c = 0; c < group_lanes; ++c)
          sum[c] = sum[c] + weight[j] * lanes_at(v + c * lane_count);
      }
      for (int c = 0; c < group_lanes; ++c)
        sums[e + c] = sum[c];
      continue;
    }
    for (int c = 0; c < lanes; ++c) {
      sum[0] = factor * sums[e + c];
      for (int j = 0; j < n; ++j)
        sum[0] = sum[0] + weight[j] * lanes_at(value_rows(keys[j]) + (e + c) * lane_count);
      sums[e + c] = sum[0];
    }
  }
}

/// One piece: state[0] the largest score, state[1] the sum of exp(score - largest), state[2 ..] the weighted values.
/// `listed` >= count keys follow in the list: those behind the piece are fetched for the next one.
/// KL, VL: the vectors of a key and of a value where the compiler may know them, else 0.
template <int KL, int VL, class T>
KOKKOS_INLINE_FUNCTION void sum_piece(float* state, const Lanes* q, int some_key_lanes, int some_value_lanes,
                                      const CachedRows<T>& key_rows, const CachedRows<T>& value_rows, const int* keys,
                                      int count, int listed, float scale) {
  const int key_lanes = KL > 0 ? KL : some_key_lanes, value_lanes = VL > 0 ? VL : some_value_lanes;
  constexpr int most_sums = VL > 0 ? VL : most_lanes;
  float largest = -Kokkos::Experimental::infinity_v<float>, total = 0;
  Lanes sums[most_sums] = {};
  for (int first = 0; first < count; first += block_keys) {
    const int n = count - first < block_keys ? count - first : block_keys;
    float score[block_keys];
    score_block(score, q, key_lanes, value_lanes, key_rows, value_rows, keys + first, n, listed - first, scale);
    float top = largest;
    for (int j = 0; j < n; ++j)
      top = score[j] > top ? score[j] : top;
    const float factor = fast_exp(largest - top);
    largest = top;
    total *= factor;
    for (int j = 0; j < n; ++j) {
      score[j] = fast_exp(score[j] - top);
      total += score[j];
    }
    add_block(sums, factor, score, value_lanes, value_rows, keys + first, n);
  }
  state[0] = largest;
  state[1] = total;
  for (int e = 0; e < value_lanes; ++e)
    put_lanes(state + 2 + e * lane_count, sums[e]);
}

/// One call, by value into the kernels.
template <class T>
struct DecodeCall {
  DecodeShape shape;
  DecodeKeys lists;
  T* out;
  const T* qkv;
  T *key_cache, *value_cache;
  float* states; ///< [samples H][pieces][state_size]
  std::int64_t key_row, value_row, pieces, state_size;
  float scale;

  /// One piece of the list of one head of one sample.
  KOKKOS_INLINE_FUNCTION void sum(std::int64_t task) const {
    const std::int64_t E = shape.key_width, Ev = shape.value_width;
    const std::int64_t piece = task % pieces, row = task / pieces, h = row % shape.heads;
    const int list = lists.list_of_head[h];
    const std::int64_t first = lists.begin[list] + piece * piece_keys, last = lists.begin[list + 1];
    if (first >= last)
      return;
    const int count = static_cast<int>(last - first < piece_keys ? last - first : piece_keys);
    const T* from = qkv + row / shape.heads * shape.row_stride;
    Lanes q[most_lanes];
    T newest_key[attention_width_limit], newest_value[attention_width_limit];
    float wide[attention_width_limit];
    for (std::int64_t e = 0; e < key_row; ++e) {
      wide[e] = e < E ? load(from[h * E + e]) : 0.0f;
      newest_key[e] = e < E ? from[(shape.heads + h) * E + e] : store<T>(0.0f);
    }
    for (std::int64_t e = 0; e < value_row; ++e)
      newest_value[e] = e < Ev ? from[2 * shape.heads * E + h * Ev + e] : store<T>(0.0f);
    const int key_lanes = static_cast<int>(key_row / lane_count),
              value_lanes = static_cast<int>(value_row / lane_count);
    for (int e = 0; e < key_lanes; ++e)
      q[e] = lanes_at(wide + e * lane_count);
    const int newest = lists.newest[list];
    const CachedRows<T> key_rows{key_cache + row * shape.capacity * key_row, newest_key, key_row, newest};
    const CachedRows<T> value_rows{value_cache + row * shape.capacity * value_row, newest_value, value_row, newest};
    float* state = states + task * state_size;
    const int* keys_here = lists.keys + first;
    const int listed = static_cast<int>(last - first);
    if (key_lanes == 4 && value_lanes == 4)
      sum_piece<4, 4>(state, q, 4, 4, key_rows, value_rows, keys_here, count, listed, scale);
    else if (key_lanes == 8 && value_lanes == 8)
      sum_piece<8, 8>(state, q, 8, 8, key_rows, value_rows, keys_here, count, listed, scale);
    else
      sum_piece<0, 0>(state, q, key_lanes, value_lanes, key_rows, value_rows, keys_here, count, listed, scale);
  }

  /// Head `row` of all samples: puts the new key and value into the caches and joins the pieces.
  KOKKOS_INLINE_FUNCTION void join(std::int64_t row) const {
    const std::int64_t E = shape.key_width, Ev = shape.value_width, h = row % shape.heads;
    const T* from = qkv + row / shape.heads * shape.row_stride;
    const int list = lists.list_of_head[h];
    T* key = key_cache + (row * shape.capacity + lists.newest[list]) * key_row;
    T* value = value_cache + (row * shape.capacity + lists.newest[list]) * value_row;
    for (std::int64_t e = 0; e < E; ++e)
      key[e] = from[(shape.heads + h) * E + e];
    for (std::int64_t e = 0; e < Ev; ++e)
      value[e] = from[2 * shape.heads * E + h * Ev + e];
    const std::int64_t count = lists.begin[list + 1] - lists.begin[list];
    const std::int64_t used = (count + piece_keys - 1) / piece_keys;
    const float* state = states + row * pieces * state_size;
    float largest = -Kokkos::Experimental::infinity_v<float>, total = 0;
    for (std::int64_t p = 0; p < used; ++p)
      largest = state[p * state_size] > largest ? state[p * state_size] : largest;
    for (std::int64_t p = 0; p < used; ++p)
      total += state[p * state_size + 1] * fast_exp(state[p * state_size] - largest);
    for (std::int64_t e = 0; e < Ev; ++e) {
      float sum = 0;
      for (std::int64_t p = 0; p < used; ++p)
        sum += state[p * state_size + 2 + e] * fast_exp(state[p * state_size] - largest);
      out[row * Ev + e] = store<T>(used > 0 ? sum / total : 0.0f);
    }
  }
};
} // namespace

std::int64_t attention_decode_workspace(const DecodeShape& shape, std::int64_t longest) {
  return shape.samples * shape.heads * pieces_of(longest) * (2 + shape.value_row());
}

template <class T>
void attention_decode(const DecodeShape& shape, T* out, const T* qkv, T* key_cache, T* value_cache,
                      const DecodeKeys& keys, float* workspace) {
  const std::int64_t rows = shape.samples * shape.heads, pieces = pieces_of(keys.longest);
  const float scale = shape.scale > 0 ? shape.scale : 1.0f / Kokkos::sqrt(static_cast<float>(shape.key_width));
  const DecodeCall<T> call{shape,
                           keys,
                           out,
                           qkv,
                           key_cache,
                           value_cache,
                           workspace,
                           shape.key_row(),
                           shape.value_row(),
                           pieces,
                           2 + shape.value_row(),
                           scale};
  for_each(
      "weft::attention_decode", rows * pieces, KOKKOS_LAMBDA(std::int64_t task) { call.sum(task); });
  const auto join = KOKKOS_LAMBDA(std::int64_t row) { call.join(row); };
#ifndef WEFT_CUDA
  constexpr std::int64_t little = 16384; // sums that take less time than to wake the other threads
  if (rows * pieces * call.value_row < little) {
    for (std::int64_t row = 0; row < rows; ++row)
      join(row);
    return;
  }
#endif
  for_each("weft::attention_decode_join", rows, join);
}

#define WEFT_ATTENTION_DECODE_OF(T)                                                                                    \
  template void attention_decode(const DecodeShape&, T*, const T*, T*, T*, const DecodeKeys&, float*)
WEFT_FOR_EACH_STORAGE(WEFT_ATTENTION_DECODE_OF);

} // namespace weft
