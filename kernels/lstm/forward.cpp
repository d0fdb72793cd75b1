#include "kernels/common/instantiate.hpp"
#include "kernels/common/regions.hpp"
#include "kernels/lstm/steps.hpp"

namespace weft {

namespace {
using namespace lstm;

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

} // namespace

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

#define WEFT_LSTM_FORWARD_OF(T)                                                                                        \
  template void lstm_forward(const LstmShape&, T*, T*, float*, const float*, const float*, const LstmSequences&, float*)
WEFT_FOR_EACH_STORAGE(WEFT_LSTM_FORWARD_OF);

} // namespace weft
