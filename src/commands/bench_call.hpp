// One timed call of `weft bench` with what it must do at least, and operands for it.
#pragma once
#include "commands/bench_figures.hpp"
#include "kernels/common/memory.hpp"
#include <vector>

namespace weft {

/// Numbers of ordinary size, none of them special.
template <class T>
Buffer<T> numbers(std::int64_t n) {
  Buffer<T> out(n, "bench");
  std::vector<T> values(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = store<T>(0.1f * static_cast<float>(static_cast<int>(i * 2654435761u % 21) - 10));
  copy_to_device(out.data(), values.data(), out.bytes());
  return out;
}

/// Prints and keeps figures of one storage type and shape.
struct Bench {
  Console& console;
  const Machine& machine;
  std::vector<Figure>& figures;
  std::string precision;
  std::int64_t rows, width;
  int repeats;

  /// `bare` (may be empty): the same product by the library alone, timed in turns with the call.
  void operator()(const std::string& operation, const std::string& what, double operations, double bytes,
                  const std::function<void()>& call, const std::function<void()>& bare = {}) const {
    Figure f;
    f.operation = operation;
    f.what = what;
    f.precision = precision;
    f.length = rows;
    f.width = width;
    f.operations = operations;
    f.bytes = f.memory = bytes;
    if (bare) {
      const Turns turns = time_in_turns(call, bare, repeats);
      f.seconds = turns.one;
      f.bare = turns.other.median;
      f.bare_ratio = turns.ratio;
    } else {
      f.seconds = time_calls(call, repeats);
    }
    figure_line(console, machine, f);
    figures.push_back(f);
  }
};

} // namespace weft
