#include "kernels/common/instantiate.hpp"
#include "kernels/common/regions.hpp"
#include "kernels/lstm/steps.hpp"

namespace weft {

namespace {
using namespace lstm;

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

#define WEFT_LSTM_BACKWARD_OF(T)                                                                                       \
  template void lstm_backward(const LstmShape&, T*, const T*, const float*, const float*, const LstmSequences&,        \
                              float*);                                                                                 \
  template void lstm_state_operands(const LstmShape&, int, T*, T*, const T*, const T*, const LstmSequences&)
WEFT_FOR_EACH_STORAGE(WEFT_LSTM_BACKWARD_OF);

} // namespace weft
