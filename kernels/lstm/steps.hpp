// How the sequences of a micro-batch are stepped through: blocks of them in each direction, the longest first. Included
// by .cpp files under kernels/lstm only.
#pragma once
#include "kernels/common/team.hpp"
#include "kernels/lstm/lstm.hpp"
#include "kernels/lstm/panels.hpp"
#include <algorithm>

namespace weft::lstm {

using Policy = Kokkos::TeamPolicy<Space, Kokkos::Schedule<Kokkos::Dynamic>, Kokkos::IndexType<std::int64_t>>;
using Member = Policy::member_type;

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
inline std::int64_t block_of(const Sizes& s) {
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

} // namespace weft::lstm
