#include "kernels/linear_attention/linear_attention.hpp"
#include "kernels/common/instantiate.hpp"
#include "kernels/common/regions.hpp"
#include "kernels/linear_attention/operands.hpp"

namespace weft {

namespace {
using namespace linear;
using tiles::Left;
using tiles::product;
using tiles::Sum;

/// Where the states of a head and part lie.
KOKKOS_INLINE_FUNCTION float* state_at(float* states, const Sizes& s, std::int64_t head, std::int64_t part) {
  return states + (head * s.parts + (s.causal ? part : 0)) * s.state();
}

/// Sums over the parts in their order, for every number of a state: causal: part n gets the sum of those before it (or
/// behind it); else part 0 the sum of all.
void add_parts(float* states, const Sizes& s, bool from_the_end) {
  if (s.parts == 1 && !s.causal)
    return;
  const std::int64_t size = s.state(), P = s.parts, strips = (size + strip_width - 1) / strip_width;
  const bool causal = s.causal;
  for_each(
      "weft::linear_attention_states", s.B * s.H * strips, KOKKOS_LAMBDA(std::int64_t task) {
        const std::int64_t j0 = task % strips * strip_width, j1 = j0 + strip_width < size ? j0 + strip_width : size;
        float* of = states + task / strips * P * size;
        for_numbers(j0, j1, [&](std::int64_t j, std::int64_t count) {
          Numbers sum = Numbers{};
          for (std::int64_t n = 0; n < P; ++n) {
            float* at = of + (from_the_end ? P - 1 - n : n) * size + j;
            const Numbers own = numbers_at(at, count);
            if (causal)
              put_numbers(at, sum, count);
            sum = sum + own;
          }
          if (!causal)
            put_numbers(of + j, sum, count);
        });
      });
}

/// A state (Mp, W), or transposed (W, Mp), of every part: the products of its features and of as many rows of width W,
/// both of which load(member, features, rows, chunk, f0, width) puts into scratch memory.
template <class T, class Load>
void sum_parts(const char* label, const Operands<T>& of, float* states, bool transposed, const Load& load) {
  const Sizes s = of.s;
  tiles::for_tasks(
      label, s.B * s.H * s.parts * s.blocks(), s.C * (s.F + s.W),
      KOKKOS_LAMBDA(const Member& member, float* scratch, std::int64_t task) {
        const auto [f0, width, head, part, begin, end] = s.part_of(task);
        float *phi = scratch, *rows = phi + s.C * s.F, *to = states + (head * s.parts + part) * s.state();
        for (std::int64_t first = begin; first < end; first += s.C) {
          const Chunk c = of.chunk(head, first);
          load(member, phi, rows, c, f0, width);
          if (transposed)
            product(member, to + f0, s.Mp, s.W, width, Left{rows, 1, s.W}, c.rows, phi, s.F, first > begin);
          else
            product(member, to + f0 * s.W, s.W, width, s.W, Left{phi, 1, s.F}, c.rows, rows, s.W, first > begin);
        }
      });
}

/// A of every part.
template <class T>
void sum_keys(const Operands<T>& of, float* states, const float* phi_k, bool transposed) {
  sum_parts(
      "weft::linear_attention_keys", of, states, transposed,
      KOKKOS_LAMBDA(const Member& member, float* phi, float* values, const Chunk& c, std::int64_t f0,
                    std::int64_t width) {
        of.load_keys(member, phi, c, phi_k, f0, width);
        of.load_values(member, values, c);
      });
  add_parts(states, of.s, false);
}

/// B of every part.
template <class T>
void sum_queries(const Operands<T>& of, float* states, const float* phi_q, const T* dout, const T* out,
                 const float* denominators) {
  sum_parts(
      "weft::linear_attention_queries", of, states, false,
      KOKKOS_LAMBDA(const Member& member, float* phi, float* errors, const Chunk& c, std::int64_t f0,
                    std::int64_t width) {
        of.load_queries(member, phi, c, phi_q, f0, width);
        of.load_errors(member, errors, c, dout, out, denominators);
      });
  add_parts(states, of.s, true);
}

} // namespace

std::int64_t linear_attention_workspace(const LinearAttention& call) { return 2 * Sizes(call).states(); }

double linear_attention_work(const LinearAttention& call, bool backward) {
  const Sizes s(call);
  const auto of = [](std::int64_t x) { return static_cast<double>(x); };
  const double rows = of(s.B * s.H * s.N), through_state = 2 * of(s.M) * of(s.Ev + 1);
  const double within = s.causal ? 2 * of(s.C) * (of(s.M) + of(s.Ev + 1) / 2) : 0; // w, and half of its square
  const double again = s.causal ? 2 * of(s.C) * (of(s.Ev + 1) + of(s.M)) : 0;      // dw, and two halves
  return rows * (backward ? 5 * through_state + within + again : 2 * through_state + within);
}

template <class T>
void linear_attention_forward(const LinearAttention& call, T* out, float* denominators, const T* q, const T* k,
                              const T* v, const float* phi_q, const float* phi_k, float* workspace) {
  const TimedRegion timed(&RegionSeconds::attention);
  const Operands<T> of(call, q, k, v);
  const Sizes s = of.s;
  const std::int64_t chunks = s.chunks();
  sum_keys(of, workspace, phi_k, false);
  tiles::for_tasks(
      "weft::linear_attention_forward", s.B * s.H * chunks, s.scratch(),
      KOKKOS_LAMBDA(const Member& member, float* scratch, std::int64_t task) {
        const std::int64_t head = task / chunks, number = task % chunks;
        const Chunk c = of.chunk(head, number * s.C);
        float *sums = scratch, *values = sums + s.C * s.W, *queries = values + s.C * s.W, *keys = queries + s.C * s.F,
              *turned = keys + s.C * s.F, *weights = turned + s.C * s.F;
        const float* state = state_at(workspace, s, head, number);
        for (std::int64_t f0 = 0; f0 < s.Mp; f0 += s.F) {
          const std::int64_t width = s.Mp - f0 < s.F ? s.Mp - f0 : s.F;
          of.load_queries(member, queries, c, phi_q, f0, width);
          product(member, sums, s.W, c.rows, s.W, Left{queries, s.F, 1}, width, state + f0 * s.W, s.W, f0 > 0);
          if (!s.causal)
            continue;
          of.load_keys(member, keys, c, phi_k, f0, width);
          tiles::transpose(member, turned, s.C, keys, s.F, c.rows, width);
          product(member, weights, s.C, c.rows, c.rows, Left{queries, s.F, 1}, width, turned, s.C, f0 > 0);
        }
        if (s.causal) {
          of.load_values(member, values, c);
          product(member, sums, s.W, c.rows, s.W, Left{weights, s.C, 1}, c.rows, values, s.W, true, Sum::up_to_row);
        }
        each(member, c.rows, [&](std::int64_t r) {
          sums[r * s.W + s.Ev] += of.guard;
          denominators[head * s.N + c.first + r] = sums[r * s.W + s.Ev];
        });
        each_group(member, c.rows, s.Ev, [&](std::int64_t r, std::int64_t j, std::int64_t count) {
          const float d = sums[r * s.W + s.Ev];
          put_numbers(out + of.out_at(c, r) + j,
                      d != 0.0f ? numbers_at(sums + r * s.W + j, number_count) / d : Numbers{}, count);
        });
      });
}

template <class T>
void linear_attention_backward(const LinearAttention& call, T* dq, T* dk, T* dv, const T* dout, const T* q, const T* k,
                               const T* v, const T* out, const float* denominators, float* phi_q, float* phi_k,
                               float* workspace) {
  const TimedRegion timed(&RegionSeconds::attention);
  const Operands<T> of(call, q, k, v);
  const Sizes s = of.s;
  const std::int64_t chunks = s.chunks();
  float *states_a = workspace, *states_b = workspace + s.states();
  sum_keys(of, states_a, phi_k, true);
  sum_queries(of, states_b, phi_q, dout, out, denominators);
  tiles::for_tasks(
      "weft::linear_attention_backward", s.B * s.H * chunks, s.scratch(),
      KOKKOS_LAMBDA(const Member& member, float* scratch, std::int64_t task) {
        const std::int64_t head = task / chunks, number = task % chunks;
        const Chunk c = of.chunk(head, number * s.C);
        float *errors = scratch, *values = errors + s.C * s.W, *dvalues = values + s.C * s.W,
              *queries = dvalues + s.C * s.W, *keys = queries + s.C * s.F, *gradient = keys + s.C * s.F,
              *b_turned = gradient + s.C * s.F, *weights = b_turned + s.W * s.F, *dweights = weights + s.C * s.C;
        const float *a_turned = state_at(states_a, s, head, number), *b = state_at(states_b, s, head, number);
        of.load_errors(member, errors, c, dout, out, denominators);
        of.load_values(member, values, c);
        if (s.causal) { // dL/dw_ij = e_i . [v_j, 1]; the turned values lie where dv will
          tiles::transpose(member, dvalues, s.C, values, s.W, c.rows, s.Ev + 1);
          product(member, dweights, s.C, c.rows, c.rows, Left{errors, s.W, 1}, s.Ev + 1, dvalues, s.C, false);
        }
        for (std::int64_t f0 = 0; f0 < s.Mp; f0 += s.F) {
          const std::int64_t width = s.Mp - f0 < s.F ? s.Mp - f0 : s.F;
          of.load_queries(member, queries, c, phi_q, f0, width);
          of.load_keys(member, keys, c, phi_k, f0, width);
          product(member, gradient, s.F, c.rows, width, Left{errors, s.W, 1}, s.Ev + 1, a_turned + f0, s.Mp, false);
          if (s.causal)
            product(member, gradient, s.F, c.rows, width, Left{dweights, s.C, 1}, c.rows, keys, s.F, true,
                    Sum::up_to_row);
          of.store_gradient(member, gradient, c, dq, of.q, phi_q, f0, width, false);
          tiles::transpose(member, b_turned, s.F, b + f0 * s.W, s.W, width, s.Ev + 1);
          product(member, gradient, s.F, c.rows, width, Left{values, s.W, 1}, s.Ev + 1, b_turned, s.F, false);
          if (s.causal)
            product(member, gradient, s.F, c.rows, width, Left{dweights, 1, s.C}, c.rows, queries, s.F, true,
                    Sum::from_row);
          of.store_gradient(member, gradient, c, dk, of.k, phi_k, f0, width, true);
          product(member, dvalues, s.W, c.rows, s.W, Left{keys, s.F, 1}, width, b + f0 * s.W, s.W, f0 > 0);
          if (s.causal) {
            tiles::transpose(member, gradient, s.C, keys, s.F, c.rows, width);
            product(member, weights, s.C, c.rows, c.rows, Left{queries, s.F, 1}, width, gradient, s.C, f0 > 0);
          }
        }
        if (s.causal)
          product(member, dvalues, s.W, c.rows, s.W, Left{weights, 1, s.C}, c.rows, errors, s.W, true, Sum::from_row);
        each_group(member, c.rows, s.Ev, [&](std::int64_t r, std::int64_t j, std::int64_t count) {
          put_numbers(dv + of.value_at(c, r) + j,
                      of.real(c, r) ? numbers_at(dvalues + r * s.W + j, number_count) : Numbers{}, count);
        });
      });
}

std::int64_t linear_attention_state(const LinearAttention& call) {
  const Sizes s(call);
  return s.B * s.H * s.state();
}

template <class T>
void linear_attention_step(const LinearAttention& call, float* state, T* out, const T* q, const T* k, const T* v) {
  const Operands<T> of(call, q, k, v);
  const Sizes s = of.s;
  tiles::for_tasks(
      "weft::linear_attention_step", s.B * s.H, 2 * (s.W + s.F),
      KOKKOS_LAMBDA(const Member& member, float* scratch, std::int64_t head) {
        const Chunk c{head / s.H, head % s.H, 0, 1};
        float *sums = scratch, *values = sums + s.W, *queries = values + s.W, *keys = queries + s.F;
        float* own = state + head * s.state();
        of.load_values(member, values, c);
        for (std::int64_t f0 = 0; f0 < s.Mp; f0 += s.F) {
          const std::int64_t width = s.Mp - f0 < s.F ? s.Mp - f0 : s.F;
          of.load_queries(member, queries, c, nullptr, f0, width);
          of.load_keys(member, keys, c, nullptr, f0, width);
          each_group(member, width, s.W, [&](std::int64_t f, std::int64_t j, std::int64_t) {
            float* at = own + (f0 + f) * s.W + j;
            put_numbers(at, numbers_at(at, number_count) + keys[f] * numbers_at(values + j, number_count),
                        number_count);
          });
          product(member, sums, s.W, 1, s.W, Left{queries, s.F, 1}, width, own + f0 * s.W, s.W, f0 > 0);
        }
        each_group(member, 1, s.Ev, [&](std::int64_t, std::int64_t j, std::int64_t count) {
          const float d = sums[s.Ev] + of.guard;
          put_numbers(out + of.out_at(c, 0) + j, d != 0.0f ? numbers_at(sums + j, number_count) / d : Numbers{}, count);
        });
      });
}

#define WEFT_LINEAR_ATTENTION_OF(T)                                                                                    \
  template void linear_attention_forward(const LinearAttention&, T*, float*, const T*, const T*, const T*,             \
                                         const float*, const float*, float*);                                          \
  template void linear_attention_backward(const LinearAttention&, T*, T*, T*, const T*, const T*, const T*, const T*,  \
                                          const T*, const float*, float*, float*, float*);                             \
  template void linear_attention_step(const LinearAttention&, float*, T*, const T*, const T*, const T*)
WEFT_FOR_EACH_STORAGE(WEFT_LINEAR_ATTENTION_OF);

} // namespace weft
