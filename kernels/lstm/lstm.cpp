#include "kernels/lstm/lstm.hpp"
#include "kernels/common/instantiate.hpp"
#include "kernels/common/regions.hpp"
#include "kernels/lstm/panels.hpp"
#include <algorithm>

namespace weft {

namespace {
using namespace lstm;

using Policy = Kokkos::TeamPolicy<Space, Kokkos::Schedule<Kokkos::Dynamic>, Kokkos::IndexType<std::int64_t>>;
using Member = Policy::member_type;

KOKKOS_INLINE_FUNCTION Numbers sigmoid_of(Numbers x) { return 1.0f / (1.0f + exp_of(-1.0f * x)); }
KOKKOS_INLINE_FUNCTION Numbers tanh_of(Numbers x) { return 1.0f - 2.0f / (1.0f + exp_of(2.0f * x)); }

/// body(i) for i in [0, n), then a barrier.
template <class Body>
KOKKOS_INLINE_FUNCTION void each(const Member& member, std::int64_t n, const Body& body) {
#ifdef WEFT_CUDA
  Kokkos::parallel_for(Kokkos::TeamThreadRange(member, n), body);
  member.team_barrier();
#else
  static_cast<void>(member);
  for (std::int64_t i = 0; i < n; ++i)
    body(i);
#endif
}

/// Sizes, and where a step of a sequence lies; device code holds a copy.
struct Sizes {
  std::int64_t S, N, h, hp; ///< hp: h in whole groups of numbers
  const std::int32_t *lengths, *order;

  explicit Sizes(const LstmShape& shape, const LstmSequences& of = {})
      : S(shape.sequences), N(shape.length), h(shape.hidden), hp((h + number_count - 1) / number_count * number_count),
        lengths(of.lengths), order(of.order) {}

  KOKKOS_INLINE_FUNCTION std::int64_t units() const { return hp / number_count; } ///< groups of a state's numbers
  KOKKOS_INLINE_FUNCTION std::int64_t valid(std::int64_t j) const {
    return h - j < number_count ? h - j : number_count;
  }
  KOKKOS_INLINE_FUNCTION std::int64_t length(std::int64_t place) const { return lengths[order[place]]; }
  /// Row (in S N) of step k of the sequence at a place of the order.
  KOKKOS_INLINE_FUNCTION std::int64_t row(std::int64_t place, std::int64_t d, std::int64_t k) const {
    const std::int64_t s = order[place];
    return s * N + (d == 0 ? k : lengths[s] - 1 - k);
  }
  /// Of U as a step forward reads it: the four gates of a group of units side by side.
  Panels forward_panels(float* at) const { return {at, h, 2 * units()}; }
  /// Of U^T as a step backward reads it: rows are gates, columns numbers of the state.
  Panels backward_panels(float* at) const { return {at, groups * hp, 2 * strips()}; }
  KOKKOS_INLINE_FUNCTION std::int64_t strips() const { return (h + wide - 1) / wide; }
  std::int64_t states() const { return 2 * S * hp; }
};

/// Sequences that one task steps through: those that share a read of U, unless threads would be idle.
std::int64_t block_of(const Sizes& s) {
#ifdef WEFT_CUDA
  static_cast<void>(s);
  return most_rows;
#else
  const std::int64_t sharers = std::max<std::int64_t>(1, Space().concurrency() / 2); // of a direction
  return std::clamp<std::int64_t>((s.S + sharers - 1) / sharers, 1, 4 * most_rows);
#endif
}

/// A block of sequences in one direction, the longest first.
struct Task {
  std::int64_t d, first, rows;
};

/// body(member, task): the longest sequences begin first.
template <class Body>
void for_tasks(const char* label, const Sizes& s, const Body& body) {
#ifdef WEFT_CUDA
  constexpr int team = 256;
#else
  constexpr int team = 1;
#endif
  const std::int64_t block = block_of(s), S = s.S;
  Kokkos::parallel_for(
      label, Policy((S + block - 1) / block * 2, team), KOKKOS_LAMBDA(const Member& member) {
        const std::int64_t first = member.league_rank() / 2 * block;
        body(member, Task{member.league_rank() % 2, first, S - first < block ? S - first : block});
      });
}

/// How many of a task's sequences have a step k: the first ones of the order.
KOKKOS_INLINE_FUNCTION std::int64_t active_at(const Sizes& s, const Task& task, std::int64_t k) {
  std::int64_t rows = task.rows;
  while (rows > 0 && s.length(task.first + rows - 1) <= k)
    --rows;
  return rows;
}

/// body(row block, panel) for all pairs, then a barrier: on a host a panel stays in the first cache for all rows.
template <class Body>
KOKKOS_INLINE_FUNCTION void each_block(const Member& member, const RowBlocks& blocks, std::int64_t panels,
                                       const Body& body) {
  const std::int64_t count = blocks.count();
  each(member, count * panels, [&](std::int64_t n) {
#ifdef WEFT_CUDA
    body(n / panels, n % panels);
#else
    body(n % count, n / count);
#endif
  });
}

/// Zeros in `width` numbers of every row behind its sequence's length.
template <class U>
void clear_behind(const Sizes& s, U* rows, std::int64_t width) {
  for_each(
      "weft::lstm_behind", s.S * s.N, KOKKOS_LAMBDA(std::int64_t row) {
        if (row % s.N >= s.lengths[row / s.N])
          for_numbers(0, width, [&](std::int64_t j, std::int64_t count) {
            put_numbers(rows + row * width + j, Numbers{}, count);
          });
      });
}

/// panels (both directions) = element(direction, row, panel, group, lane).
template <class Element>
void fill_panels(const char* label, const Panels& panels, const Element& element) {
  for_each(
      label, panels.count * panels.depth, KOKKOS_LAMBDA(std::int64_t n) {
        const std::int64_t q = n / panels.depth, p = n % panels.depth, half = panels.count / 2;
        float* to = panels.panel(q) + p * panels.step;
        for (std::int64_t g = 0; g < groups; ++g)
          for (std::int64_t v = 0; v < number_count; ++v)
            to[g * number_count + v] = element(q / half, p, q % half, g, v);
      });
}

/// What one step forward reads and writes.
template <class T>
struct Forward {
  Sizes s;
  Panels panels;
  T *out, *gates;
  float* cells;
  const float* bias;

  /// Rows r0 .. of a task, one group of units.
  template <int rows>
  KOKKOS_INLINE_FUNCTION void cell(const Task& task, std::int64_t k, std::int64_t r0, std::int64_t unit,
                                   const float* now, float* next, float* c) const {
    const std::int64_t j = unit * number_count, count = s.valid(j), h = s.h;
    Numbers sums[rows][groups];
    if (k > 0) // before the first step the state is 0
      sums_of(sums, now + r0 * s.hp, s.hp, panels.panel(task.d * s.units() + unit), panels.step, h);
    else
      for (int r = 0; r < rows; ++r)
        for (int g = 0; g < groups; ++g)
          sums[r][g] = Numbers{};
    for (int r = 0; r < rows; ++r) {
      const std::int64_t at = s.row(task.first + r0 + r, task.d, k) * 2 + task.d;
      T* a = gates + at * groups * h + j;
      const float* b = bias + task.d * groups * h + j;
      for (int g = 0; g < groups; ++g)
        sums[r][g] = sums[r][g] + numbers_at(a + g * h, count) + numbers_at(b + g * h, count);
      const Numbers in = sigmoid_of(sums[r][0]), forget = sigmoid_of(sums[r][1]), g = tanh_of(sums[r][2]),
                    open = sigmoid_of(sums[r][3]);
      float* own = c + (r0 + r) * s.hp + j;
      const Numbers cell = forget * numbers_at(own, number_count) + in * g, y = open * tanh_of(cell);
      put_numbers(a, in, count);
      put_numbers(a + h, forget, count);
      put_numbers(a + 2 * h, g, count);
      put_numbers(a + 3 * h, open, count);
      put_numbers(own, cell, number_count);
      put_numbers(cells + at * h + j, cell, count);
      put_numbers(next + (r0 + r) * s.hp + j, y, number_count);
      put_numbers(out + at * h + j, y, count);
    }
  }
};

/// What one step backward reads and writes.
template <class T>
struct Backward {
  Sizes s;
  Panels panels;
  T* gates;
  const T* dout;
  const float* cells;

  /// Row r of a task, one group of units: gates to their gradients, to memory and to `d` (4, hp).
  KOKKOS_INLINE_FUNCTION void cell(const Task& task, std::int64_t k, std::int64_t r, std::int64_t unit, const float* dh,
                                   float* dc, float* d) const {
    const std::int64_t j = unit * number_count, count = s.valid(j), h = s.h, place = task.first + r;
    const std::int64_t at = s.row(place, task.d, k) * 2 + task.d;
    T* a = gates + at * groups * h + j;
    const Numbers in = numbers_at(a, count), forget = numbers_at(a + h, count), g = numbers_at(a + 2 * h, count),
                  open = numbers_at(a + 3 * h, count), t = tanh_of(numbers_at(cells + at * h + j, count));
    const Numbers dy = numbers_at(dout + at * h + j, count) + numbers_at(dh + j, number_count);
    Numbers before = Numbers{};
    if (k > 0)
      before = numbers_at(cells + (s.row(place, task.d, k - 1) * 2 + task.d) * h + j, count);
    const Numbers dcell = numbers_at(dc + j, number_count) + dy * open * (1.0f - t * t);
    const Numbers gradients[groups] = {dcell * g * in * (1.0f - in), dcell * before * forget * (1.0f - forget),
                                       dcell * in * (1.0f - g * g), dy * t * open * (1.0f - open)};
    for (int n = 0; n < groups; ++n) {
      put_numbers(a + n * h, gradients[n], count);
      put_numbers(d + n * s.hp + j, first_of(gradients[n], count), number_count);
    }
    put_numbers(dc + j, dcell * forget, number_count);
  }

  /// dh of rows r0 .., one panel: what the step before gets.
  template <int rows>
  KOKKOS_INLINE_FUNCTION void through_state(const Task& task, std::int64_t r0, std::int64_t strip, const float* d,
                                            float* dh) const {
    Numbers sums[rows][groups];
    sums_of(sums, d + r0 * groups * s.hp, groups * s.hp, panels.panel(task.d * s.strips() + strip), panels.step,
            groups * s.hp);
    for (int r = 0; r < rows; ++r)
      for (int g = 0; g < groups; ++g) {
        const std::int64_t j = strip * wide + g * number_count;
        if (j < s.hp)
          put_numbers(dh + (r0 + r) * s.hp + j, sums[r][g], number_count);
      }
  }
};

} // namespace

std::int64_t lstm_workspace(const LstmShape& shape) {
  const Sizes s(shape);
  const std::int64_t forward = s.forward_panels(nullptr).floats() + 3 * s.states();
  const std::int64_t backward = s.backward_panels(nullptr).floats() + (2 + groups) * s.states();
  return std::max(forward, backward);
}

double lstm_work(const LstmShape& shape) {
  const auto of = [](std::int64_t x) { return static_cast<double>(x); };
  return of(shape.sequences) * of(shape.length) * 2 * 2 * groups * of(shape.hidden) * of(shape.hidden);
}

void lstm_sequences(std::int32_t* lengths, std::int32_t* order, const std::uint32_t* seen, const LstmShape& shape) {
  const std::int64_t S = shape.sequences, N = shape.length, words = (N + 31) / 32;
  for_each(
      "weft::lstm_lengths", S, KOKKOS_LAMBDA(std::int64_t s) {
        std::int64_t n = N;
        while (seen && n > 0 && (seen[s * words + (n - 1) / 32] >> ((n - 1) % 32) & 1u) == 0)
          --n;
        lengths[s] = static_cast<std::int32_t>(n);
      });
  for_each(
      "weft::lstm_order", S, KOKKOS_LAMBDA(std::int64_t s) {
        std::int64_t place = 0; // behind the longer ones, and those as long that come before
        for (std::int64_t r = 0; r < S; ++r)
          place += lengths[r] > lengths[s] || (lengths[r] == lengths[s] && r < s) ? 1 : 0;
        order[place] = static_cast<std::int32_t>(s);
      });
}

template <class T>
void lstm_forward(const LstmShape& shape, T* out, T* gates, float* cells, const float* state_weight,
                  const float* state_bias, const LstmSequences& of, float* workspace) {
  const TimedRegion timed(&RegionSeconds::attention);
  const Sizes s(shape, of);
  const Panels panels = s.forward_panels(workspace);
  const std::int64_t h = s.h, states = s.states();
  fill_panels(
      "weft::lstm_forward_panels", panels,
      KOKKOS_LAMBDA(std::int64_t d, std::int64_t p, std::int64_t q, std::int64_t g, std::int64_t v) {
        const std::int64_t unit = q * number_count + v;
        return unit < h ? state_weight[(d * h + p) * groups * h + g * h + unit] : 0.0f;
      });
  clear_behind(s, out, 2 * h);
  clear_behind(s, cells, 2 * h);
  float* memory = workspace + panels.floats();
  const Forward<T> step{s, panels, out, gates, cells, state_bias};
  for_tasks(
      "weft::lstm_forward", s, KOKKOS_LAMBDA(const Member& member, const Task& task) {
        float* now = memory + (task.d * s.S + task.first) * s.hp;
        float *next = now + states, *c = next + states;
        each(member, task.rows * s.hp, [&](std::int64_t i) { c[i] = 0; });
        const std::int64_t steps = s.length(task.first);
        for (std::int64_t k = 0; k < steps; ++k) {
          const RowBlocks blocks{active_at(s, task, k)};
          each_block(member, blocks, s.units(), [&](std::int64_t b, std::int64_t unit) {
            const std::int64_t r0 = blocks.first(b), rows = blocks.size(b);
            if (rows == 3)
              step.template cell<3>(task, k, r0, unit, now, next, c);
            else if (rows == 2)
              step.template cell<2>(task, k, r0, unit, now, next, c);
            else
              step.template cell<1>(task, k, r0, unit, now, next, c);
          });
          float* const last = now;
          now = next;
          next = last;
        }
      });
}

template <class T>
void lstm_backward(const LstmShape& shape, T* gates, const T* dout, const float* cells, const float* state_weight,
                   const LstmSequences& of, float* workspace) {
  const TimedRegion timed(&RegionSeconds::attention);
  const Sizes s(shape, of);
  const Panels panels = s.backward_panels(workspace);
  const std::int64_t h = s.h, hp = s.hp, states = s.states();
  fill_panels(
      "weft::lstm_backward_panels", panels,
      KOKKOS_LAMBDA(std::int64_t d, std::int64_t p, std::int64_t q, std::int64_t g, std::int64_t v) {
        const std::int64_t row = q * wide + g * number_count + v, gate = p / hp, unit = p % hp;
        return row < h && unit < h ? state_weight[(d * h + row) * groups * h + gate * h + unit] : 0.0f;
      });
  clear_behind(s, gates, 2 * groups * h);
  float* memory = workspace + panels.floats();
  const Backward<T> step{s, panels, gates, dout, cells};
  for_tasks(
      "weft::lstm_backward", s, KOKKOS_LAMBDA(const Member& member, const Task& task) {
        const std::int64_t offset = (task.d * s.S + task.first) * hp;
        float *dh = memory + offset, *dc = memory + states + offset, *d = memory + 2 * states + groups * offset;
        each(member, task.rows * hp, [&](std::int64_t i) { dh[i] = dc[i] = 0; });
        for (std::int64_t k = s.length(task.first) - 1; k >= 0; --k) {
          const RowBlocks blocks{active_at(s, task, k)};
          each(member, blocks.rows * s.units(), [&](std::int64_t n) {
            const std::int64_t r = n / s.units();
            step.cell(task, k, r, n % s.units(), dh + r * hp, dc + r * hp, d + r * groups * hp);
          });
          if (k == 0)
            break; // nobody asks for the gradient of the first state
          each_block(member, blocks, s.strips(), [&](std::int64_t b, std::int64_t strip) {
            const std::int64_t r0 = blocks.first(b), rows = blocks.size(b);
            if (rows == 3)
              step.template through_state<3>(task, r0, strip, d, dh);
            else if (rows == 2)
              step.template through_state<2>(task, r0, strip, d, dh);
            else
              step.template through_state<1>(task, r0, strip, d, dh);
          });
        }
      });
}

template <class T>
void lstm_state_operands(const LstmShape& shape, int direction, T* before, T* own, const T* out, const T* dgates,
                         const LstmSequences& of) {
  const Sizes s(shape, of);
  const std::int64_t h = s.h, d = direction;
  for_each(
      "weft::lstm_state_operands", s.S * s.N, KOKKOS_LAMBDA(std::int64_t row) {
        const std::int64_t t = row % s.N, n = s.lengths[row / s.N], shift = d == 0 ? -1 : 1;
        const bool is = t < n && t + shift >= 0 && t + shift < n;
        for_numbers(0, h, [&](std::int64_t j, std::int64_t count) {
          put_numbers(before + row * h + j, is ? numbers_at(out + ((row + shift) * 2 + d) * h + j, count) : Numbers{},
                      count);
        });
        for_numbers(0, groups * h, [&](std::int64_t j, std::int64_t count) {
          put_numbers(own + row * groups * h + j, numbers_at(dgates + (row * 2 + d) * groups * h + j, count), count);
        });
      });
}

#define WEFT_LSTM_OF(T)                                                                                                \
  template void lstm_forward(const LstmShape&, T*, T*, float*, const float*, const float*, const LstmSequences&,       \
                             float*);                                                                                  \
  template void lstm_backward(const LstmShape&, T*, const T*, const float*, const float*, const LstmSequences&,        \
                              float*);                                                                                 \
  template void lstm_state_operands(const LstmShape&, int, T*, T*, const T*, const T*, const LstmSequences&)
WEFT_FOR_EACH_STORAGE(WEFT_LSTM_OF);

} // namespace weft
