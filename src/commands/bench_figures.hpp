// What the parts of `weft bench` share: timing, what the machine gives at most, and one figure per measurement.
#pragma once
#include "io/console.hpp"
#include "kernels/common/types.hpp"
#include <cstdint>
#include <functional>
#include <string>
#include <type_traits>
#include <vector>

namespace weft {

double bench_clock(); ///< seconds, steady

struct Seconds {
  double median, fastest;
  int repeats; ///< calls that were timed
};

/// Of `repeats` calls after one to warm up; the device is waited for within each.
Seconds time_calls(const std::function<void()>& call, int repeats);
/// The same of as many calls as fit into a second, `least` to `most`; but one is enough where more would take, together
/// with the one to warm up, longer than `budget` seconds.
Seconds time_calls(const std::function<void()>& call, int least, int most, double budget);

/// Two calls that do the same work, timed in turns.
struct Turns {
  Seconds one, other;
  double ratio; ///< seconds of the other over seconds of the one, median over the turns
};
Turns time_in_turns(const std::function<void()>& one, const std::function<void()>& other, int repeats);

/// What this machine reaches, measured here and now; the floors are made of these.
struct Machine {
  double matrix_fp32 = 0, matrix_bf16 = 0, matrix_fp16 = 0; ///< operations per second of a 2048 x 512 x 2048 product
  double copy = 0; ///< bytes per second, read and written, of arrays beyond the caches
  double matrix(const std::string& precision) const {
    return precision == "bf16" ? matrix_bf16 : precision == "fp16" ? matrix_fp16 : matrix_fp32;
  }
};
Machine measure_machine(bool quick);

/// "fp32", "bf16" or "fp16".
template <class T>
constexpr const char* precision_name() {
  return std::is_same_v<T, float> ? "fp32" : std::is_same_v<T, bf16> ? "bf16" : "fp16";
}

/// One measurement and the least that it must do.
struct Figure {
  std::string operation; ///< "attention forward", "norm backward", ...
  std::string what;      ///< the pattern, or the shape
  std::string precision; ///< fp32, bf16 or fp16: storage of the operands
  std::int64_t length = 0, width = 0;
  double density = 1;    ///< keys seen over keys of dense causal attention
  double operations = 0; ///< that the tiles or the product take
  double bytes = 0;      ///< read and written at least
  Seconds seconds{};
  double memory = 0;     ///< bytes held: operands, results, workspace
  double bare = 0;       ///< seconds, median, of the bare product of this shape, timed in turns; 0: there is none
  double bare_ratio = 0; ///< the bare product's seconds over ours, turn by turn

  /// The longer of operations at the matrix product's rate and bytes at the copy's.
  double floor(const Machine& machine) const;
  double share(const Machine& machine) const { return floor(machine) / seconds.median; }
};

/// Heading and lines of a table; `compared`: its figures stand beside a bare product.
void figures_heading(Console& console, const std::string& title, bool compared = false);
void figure_line(Console& console, const Machine& machine, const Figure& figure);

/// The file of --json: {"machine": {...}, "figures": [...], "steps": [...]}; seconds, bytes and operations as they are.
/// `steps`: JSON objects, made by bench_step.
void write_bench_json(const std::string& path, const Machine& machine, const std::vector<Figure>& figures,
                      const std::vector<std::string>& steps);

} // namespace weft
