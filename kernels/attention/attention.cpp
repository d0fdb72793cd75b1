#include "kernels/attention/attention.hpp"
#include "kernels/attention/attention_tables.hpp"
#include "kernels/attention/distance_sums.hpp"
#include "kernels/attention/host/engine.hpp"
#include "kernels/attention/team.hpp"
#include "kernels/common/instantiate.hpp"
#include "kernels/common/regions.hpp"
#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <type_traits>

namespace weft {
namespace {

using detail::BackwardCall;
using detail::ForwardCall;
using detail::PartTables;
using detail::team::Member;
using detail::team::TeamPolicy;

constexpr bool on_host = std::is_same_v<Space::memory_space, Kokkos::HostSpace>;

void require(bool good, const std::string& text) {
  if (!good)
    throw std::invalid_argument("attention: " + text);
}

void check(const AttentionPlan& plan, const AttentionShape& shape, const AttentionExtras& extras) {
  require(shape.length == plan.length() && shape.heads == plan.heads(),
          "shape has length " + std::to_string(shape.length) + " and " + std::to_string(shape.heads) +
              " heads, the plan " + std::to_string(plan.length()) + " and " + std::to_string(plan.heads()));
  require(shape.key_width >= (extras.table ? 0 : 1) && shape.key_width <= attention_width_limit &&
              shape.value_width >= 1 && shape.value_width <= attention_width_limit,
          "head widths " + std::to_string(shape.key_width) + " and " + std::to_string(shape.value_width) +
              "; expected 1 to " + std::to_string(attention_width_limit));
  const std::int64_t longer = std::max(shape.length, shape.key_length);
  require(!extras.table || extras.table_stride >= longer, "a table of scores with rows of " +
                                                              std::to_string(extras.table_stride) + "; expected " +
                                                              std::to_string(longer) + " or more");
  require(!extras.distances || (!extras.table && extras.reach >= 1 && extras.reach < std::int64_t{1} << 30),
          extras.table
              ? "a table of scores and scores by distance; expected one of them"
              : "scores by distance that reach " + std::to_string(extras.reach) + " positions; expected 1 to 2^30 - 1");
}

/// With what its zeros stand for.
AttentionShape resolved(AttentionShape shape) {
  shape.key_length = shape.key_length == 0 ? shape.length : shape.key_length;
  shape.row_stride_kv = shape.row_stride_kv == 0 ? shape.row_stride_qkv : shape.row_stride_kv;
  return shape;
}

detail::Widening widening_of(const AttentionPlan& plan, const AttentionShape& shape, const AttentionExtras& extras) {
  const float p = extras.dropout.probability;
  const std::int64_t longer = std::max(shape.length, shape.key_length);
  const std::int64_t stride = extras.dropout_stride == 0 ? longer : extras.dropout_stride;
  require(p >= 0 && p < 1, "a dropout probability of " + std::to_string(p) + "; expected one in [0, 1)");
  if (p > 0) {
    require(stride >= longer, "a dropout stride of " + std::to_string(stride) + "; expected the length, " +
                                  std::to_string(longer) + ", or more");
    const std::int64_t limit = std::int64_t{1} << 34; // four numbers per block, 2^32 blocks
    require(stride <= limit / stride / plan.heads(),
            "dropout over " + std::to_string(plan.heads()) + " heads of " + std::to_string(stride) + " x " +
                std::to_string(stride) +
                " weights; expected 2^34 weights at most: take fewer heads, a shorter length, " +
                "or no attention dropout");
  }
  return {extras.seen,
          (shape.key_length + 31) / 32,
          extras.dropout,
          static_cast<std::uint64_t>(stride),
          1.0f / (1.0f - p),
          extras.table,
          extras.table_stride,
          extras.distances,
          static_cast<int>(extras.reach)};
}

float scale_of(const AttentionShape& shape, const AttentionExtras& extras) {
  if (shape.key_width == 0) // the scores are the table's
    return 1.0f;
  return extras.scale != 0 ? extras.scale : static_cast<float>(1.0 / std::sqrt(static_cast<double>(shape.key_width)));
}

detail::PatternCall call_of(const AttentionPlan& plan, const AttentionShape& shape, const AttentionExtras& extras) {
  const std::int64_t query_tiles = (plan.length() + query_tile - 1) / query_tile;
  return {plan.part_tables(),
          plan.pass_begin(),
          plan.groups(),
          plan.passes(),
          plan.parts(),
          static_cast<int>(query_tiles),
          resolved(shape),
          scale_of(shape, extras),
          widening_of(plan, resolved(shape), extras)};
}

/// One team per index in [0, n): teams of threads on a device; one thread on a host, or two where the portable version
/// is tested and there are two.
TeamPolicy teams(std::int64_t n, bool portable, int scratch_floats) {
  const int threads = Space().concurrency();
  const int size = !on_host ? 128 : (portable && threads % 2 == 0 ? 2 : 1);
  TeamPolicy policy(n, size);
  policy.set_chunk_size(1);
  if (scratch_floats > 0)
    policy.set_scratch_size(0, Kokkos::PerTeam(static_cast<int>(sizeof(float)) * scratch_floats + 64));
  return policy;
}

/// Work on a host is shared among this many tasks at least (a constant: the order of sums must not follow the threads).
constexpr std::int64_t host_tasks = 16;

[[maybe_unused]] int task_groups(const AttentionPlan& plan, std::int64_t heads) {
  const std::int64_t tiles = (plan.length() + query_tile - 1) / query_tile;
  return static_cast<int>(std::clamp<std::int64_t>((host_tasks + heads - 1) / heads, 1, tiles));
}

std::int64_t distance_sums(const AttentionPlan& plan, const AttentionShape& shape, bool team) {
  const std::int64_t tiles = (plan.length() + query_tile - 1) / query_tile;
  return detail::distance_sums(shape, tiles, task_groups(plan, shape.batch * shape.heads), team);
}

/// Floats of the fp32 sums that a bf16 or fp16 tensor of queries, or of keys, of this shape needs.
std::int64_t elements(const AttentionShape& shape, std::int64_t width) {
  return shape.batch * shape.length * shape.heads * width;
}
std::int64_t key_elements(const AttentionShape& shape, std::int64_t width) {
  return shape.batch * resolved(shape).key_length * shape.heads * width;
}

template <class T>
void clear(T* rows, std::int64_t stride, std::int64_t count, std::int64_t width) {
  for_each(
      "weft::attention::clear", count, KOKKOS_LAMBDA(std::int64_t i) {
        for (std::int64_t e = 0; e < width; ++e)
          rows[i * stride + e] = store<T>(0.0f);
      });
}

template <class T>
void round_rows(T* rows, std::int64_t stride, const float* from, std::int64_t count, std::int64_t width) {
  for_each(
      "weft::attention::round", count, KOKKOS_LAMBDA(std::int64_t i) {
        for (std::int64_t e = 0; e < width; ++e)
          rows[i * stride + e] = store<T>(from[i * width + e]);
      });
}

/// delta[b,h,i] = dout_i . out_i
template <class T>
void slopes_of_rows(const AttentionShape& shape, float* delta, const T* dout, const T* out) {
  for_each(
      "weft::attention::delta", shape.batch * shape.length, KOKKOS_LAMBDA(std::int64_t row) {
        const std::int64_t b = row / shape.length, i = row % shape.length;
        for (std::int64_t h = 0; h < shape.heads; ++h) {
          const T* left = dout + row * shape.row_stride_out + h * shape.value_width;
          const T* right = out + row * shape.row_stride_out + h * shape.value_width;
          float sums[8] = {};
          for (std::int64_t e = 0; e < shape.value_width; ++e)
            sums[e % 8] += load(left[e]) * load(right[e]);
          delta[(b * shape.heads + h) * shape.length + i] =
              ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]));
        }
      });
}

#ifndef WEFT_CUDA
/// Host: key tiles and query tiles are cut into `groups` ranges each. In phase d the task of key range g takes query
/// range (g + d) mod groups, so no two tasks of a phase add to the same rows of dq, dk or dv. Sequences [first, end).
template <class T>
void host_backward_part(const BackwardCall<T>& call, std::int64_t first, std::int64_t end, int groups,
                        const detail::HostTiles<T>& tiles) {
  const std::int64_t heads = call.shape.heads, tasks = (end - first) * heads * groups;
  for (int phase = 0; phase < groups; ++phase)
    Kokkos::parallel_for("weft::attention::backward", teams(tasks, false, 0), [&](const Member& member) {
      const int n = static_cast<int>(member.league_rank()), g = n % groups, other = (g + phase) % groups;
      const int h = static_cast<int>(n / groups % heads), group = h % call.groups;
      if (call.part >= call.pass_begin[group * (call.passes + 1) + call.passes])
        return;
      const PartTables& part = call.parts[group * call.parts_per_group + call.part];
      const auto cut = [groups](std::int64_t of, int at) { return static_cast<int>(of * at / groups); };
      BackwardCall<T> own = call;
      if (own.ddistances)
        own.ddistances += (first * heads * groups + n) * (2 * call.widening.reach - 1);
      for (int kt = cut(part.key_tiles, g); kt < cut(part.key_tiles, g + 1); ++kt)
        tiles.backward(own, part, first + n / groups / heads, h, kt, cut(call.query_tiles, other),
                       cut(call.query_tiles, other + 1));
    });
}

template <class T>
void host_forward_pass(const ForwardCall<T>& call, const detail::HostTiles<T>& tiles) {
  const std::int64_t heads = call.shape.heads, count = call.query_tiles, n = call.shape.batch * heads * count;
  Kokkos::parallel_for("weft::attention::forward", teams(n, false, 0), [&](const Member& member) {
    const std::int64_t task = member.league_rank();
    // late queries have most keys: they start first
    tiles.forward(call, task / count / heads, static_cast<int>(task / count % heads),
                  static_cast<int>(count - 1 - task % count));
  });
}
#endif

/// One team per query tile for dq, or per key tile for dk and dv.
template <bool dropped, class T>
void team_backward_pass(const char* label, const BackwardCall<T>& call, int tiles, bool queries) {
  const std::int64_t heads = call.shape.heads, n = call.shape.batch * heads * tiles;
  if (n == 0)
    return;
  Kokkos::parallel_for(
      label, teams(n, true, detail::team::scratch_floats(detail::team::backward_last)),
      KOKKOS_LAMBDA(const Member& member) {
        const std::int64_t task = member.league_rank(), b = task / tiles / heads;
        const int t = static_cast<int>(task % tiles), h = static_cast<int>(task / tiles % heads);
        const int group = h % call.groups;
        if (call.part >= call.pass_begin[group * (call.passes + 1) + call.passes])
          return;
        const PartTables& part = call.parts[group * call.parts_per_group + call.part];
        if (queries)
          detail::team::query_gradient_tile<dropped>(member, call, part, b, h, t);
        else if (t < part.key_tiles)
          detail::team::key_gradient_tile<dropped>(member, call, part, b, h, t);
      });
}

/// One team per head and query tile for the gradient of a table of scores; of scores by distance, one per sum.
template <bool dropped, class T>
void team_added_pass(const BackwardCall<T>& call, std::int64_t sums) {
  const std::int64_t tiles = call.query_tiles, all = call.shape.heads * tiles, n = call.ddistances ? sums : all;
  Kokkos::parallel_for(
      "weft::attention::backward_table", teams(n, true, detail::team::scratch_floats(detail::team::backward_last)),
      KOKKOS_LAMBDA(const Member& member) {
        BackwardCall<T> own = call;
        if (own.ddistances)
          own.ddistances += member.league_rank() * (2 * call.widening.reach - 1);
        for (std::int64_t task = member.league_rank(); task < all; task += n) {
          const int h = static_cast<int>(task / tiles), t = static_cast<int>(task % tiles), group = h % call.groups;
          if (call.part >= call.pass_begin[group * (call.passes + 1) + call.passes])
            continue;
          const PartTables& part = call.parts[group * call.parts_per_group + call.part];
          detail::team::added_gradient_tile<dropped>(member, own, part, h, t);
        }
      });
}

template <bool dropped, class T>
void team_forward_pass(const ForwardCall<T>& call) {
  const std::int64_t heads = call.shape.heads, tiles = call.query_tiles, n = call.shape.batch * heads * tiles;
  const int scratch =
      detail::team::scratch_floats(detail::team::forward_last(static_cast<int>(call.shape.value_width)));
  Kokkos::parallel_for(
      "weft::attention::forward", teams(n, true, scratch), KOKKOS_LAMBDA(const Member& member) {
        const std::int64_t task = member.league_rank(), b = task / tiles / heads;
        const int h = static_cast<int>(task / tiles % heads);
        const int t = static_cast<int>(tiles - 1 - task % tiles); // late queries have most keys: they start first
        detail::team::forward_tile<dropped>(member, call, b, h, t);
      });
}

template <class T>
void forward_pass(const ForwardCall<T>& call, [[maybe_unused]] AttentionPath path) {
#ifndef WEFT_CUDA
  if (path != AttentionPath::portable)
    return host_forward_pass(call, detail::host_tiles<T>(path));
#endif
  return call.widening.dropout.probability > 0 ? team_forward_pass<true>(call) : team_forward_pass<false>(call);
}

template <bool dropped, class T>
void team_backward_part(const AttentionPlan& plan, const BackwardCall<T>& call) {
  team_backward_pass<dropped>("weft::attention::backward_queries", call, call.query_tiles, true);
  team_backward_pass<dropped>("weft::attention::backward_keys", call, plan.key_tiles(call.part), false);
  if (call.dtable || call.ddistances)
    team_added_pass<dropped>(call, distance_sums(plan, call.shape, true));
}

template <class T>
void backward_part(const AttentionPlan& plan, const BackwardCall<T>& call, [[maybe_unused]] AttentionPath path) {
#ifndef WEFT_CUDA
  if (path != AttentionPath::portable) {
    // A table, which all sequences add to, goes through them one by one.
    const std::int64_t sequences = call.shape.batch, together = call.dtable ? 1 : sequences;
    const int groups = task_groups(plan, together * call.shape.heads);
    for (std::int64_t b = 0; b < sequences; b += together)
      host_backward_part(call, b, b + together, groups, detail::host_tiles<T>(path));
    return;
  }
#endif
  return call.widening.dropout.probability > 0 ? team_backward_part<true>(plan, call)
                                               : team_backward_part<false>(plan, call);
}

} // namespace

std::size_t attention_workspace_bytes(const AttentionPlan& plan, const AttentionShape& shape, bool backward,
                                      std::int64_t reach) {
  const std::int64_t statistics = shape.batch * shape.heads * shape.length;
  std::int64_t floats = 0;
  if (backward)
    floats =
        statistics + elements(shape, shape.key_width) + key_elements(shape, shape.key_width + shape.value_width) +
        (reach > 0 ? std::max(distance_sums(plan, shape, false), distance_sums(plan, shape, true)) * (2 * reach - 1)
                   : 0);
  else if (plan.passes() > 1)
    floats = statistics + elements(shape, shape.value_width);
  return static_cast<std::size_t>(floats) * sizeof(float);
}

template <class T>
void attention_forward(const AttentionPlan& plan, const AttentionShape& shape, T* out, float* lse, const T* q,
                       const T* k, const T* v, float* workspace, AttentionPath path, const AttentionExtras& extras) {
  check(plan, shape, extras);
  const TimedRegion timed(&RegionSeconds::attention);
  ForwardCall<T> call{};
  static_cast<detail::PatternCall&>(call) = call_of(plan, shape, extras);
  call.out = out;
  call.lse = lse;
  call.sum = workspace;
  if constexpr (std::is_same_v<T, float>) {
    call.open = out;
    call.open_stride = shape.row_stride_out;
  } else {
    call.open = workspace + shape.batch * shape.heads * shape.length;
    call.open_stride = shape.heads * shape.value_width;
  }
  call.q = q;
  call.k = k;
  call.v = v;
  for (call.pass = 0; call.pass < call.passes; ++call.pass)
    forward_pass(call, path);
}

template <class T>
void attention_backward(const AttentionPlan& plan, const AttentionShape& shape, T* dq, T* dk, T* dv, const T* dout,
                        const T* q, const T* k, const T* v, const T* out, const float* lse, float* workspace,
                        AttentionPath path, const AttentionExtras& extras) {
  check(plan, shape, extras);
  const TimedRegion timed(&RegionSeconds::attention);
  const std::int64_t rows = shape.batch * shape.length, key_rows = shape.batch * resolved(shape).key_length;
  const std::int64_t key_row = shape.heads * shape.key_width, value_row = shape.heads * shape.value_width;
  float* delta = workspace;
  slopes_of_rows(shape, delta, dout, out);
  BackwardCall<T> call{};
  static_cast<detail::PatternCall&>(call) = call_of(plan, shape, extras);
  if constexpr (std::is_same_v<T, float>) {
    call.dq = dq;
    call.dk = dk;
    call.dv = dv;
    call.dq_stride = shape.row_stride_qkv;
    call.dk_stride = call.dv_stride = call.shape.row_stride_kv;
  } else {
    call.dq = delta + shape.batch * shape.heads * shape.length;
    call.dk = call.dq + elements(shape, shape.key_width);
    call.dv = call.dk + key_elements(shape, shape.key_width);
    call.dq_stride = call.dk_stride = key_row;
    call.dv_stride = value_row;
  }
  clear(call.dq, call.dq_stride, rows, key_row);
  clear(call.dk, call.dk_stride, key_rows, key_row);
  clear(call.dv, call.dv_stride, key_rows, value_row);
  call.dout = dout;
  call.q = q;
  call.k = k;
  call.v = v;
  call.lse = lse;
  call.delta = delta;
  call.dtable = extras.table ? extras.dtable : nullptr;
  const std::int64_t places = 2 * extras.reach - 1;
  const std::int64_t sums = distance_sums(plan, shape, !on_host || path == AttentionPath::portable);
  if (extras.distances && extras.ddistances) {
    call.ddistances = delta + shape.batch * shape.heads * shape.length + elements(shape, shape.key_width) +
                      key_elements(shape, shape.key_width + shape.value_width);
    device_zero(call.ddistances, static_cast<std::size_t>(sums * places) * sizeof(float));
  }
  for (call.part = 0; call.part < call.parts_per_group; ++call.part)
    backward_part(plan, call, path);
  if (call.ddistances)
    detail::add_distance_sums(extras.ddistances, call.ddistances, sums, places);
  if constexpr (!std::is_same_v<T, float>) {
    round_rows(dq, shape.row_stride_qkv, call.dq, rows, key_row);
    round_rows(dk, call.shape.row_stride_kv, call.dk, key_rows, key_row);
    round_rows(dv, call.shape.row_stride_kv, call.dv, key_rows, value_row);
  }
}

#define WEFT_ATTENTION_OF(T)                                                                                           \
  template void attention_forward(const AttentionPlan&, const AttentionShape&, T*, float*, const T*, const T*,         \
                                  const T*, float*, AttentionPath, const AttentionExtras&);                            \
  template void attention_backward(const AttentionPlan&, const AttentionShape&, T*, T*, T*, const T*, const T*,        \
                                   const T*, const T*, const T*, const float*, float*, AttentionPath,                  \
                                   const AttentionExtras&)
WEFT_FOR_EACH_STORAGE(WEFT_ATTENTION_OF);

} // namespace weft
