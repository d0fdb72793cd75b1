#include "commands/bench_figures.hpp"
#include "io/atomic_file.hpp"
#include "io/json.hpp"
#include "kernels/common/memory.hpp"
#include "kernels/gemm/rate.hpp"
#include "kernels/sum/sum.hpp"
#include <algorithm>
#include <chrono>
#include <fmt/core.h>

namespace weft {

double bench_clock() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

namespace {
double time_one(const std::function<void()>& call) {
  const double begin = bench_clock();
  call();
  fence();
  return bench_clock() - begin;
}

Seconds summary(std::vector<double> seconds) {
  std::sort(seconds.begin(), seconds.end());
  return {seconds[seconds.size() / 2], seconds.front(), static_cast<int>(seconds.size())};
}
} // namespace

Seconds time_calls(const std::function<void()>& call, int repeats) {
  time_one(call);
  std::vector<double> seconds;
  for (int i = 0; i < repeats; ++i)
    seconds.push_back(time_one(call));
  return summary(seconds);
}

Seconds time_calls(const std::function<void()>& call, int least, int most, double budget) {
  const double first = time_one(call);
  const double wanted = std::clamp(1.0 / first, static_cast<double>(least), static_cast<double>(most));
  const int repeats = static_cast<int>(std::max(1.0, std::min(wanted, budget / first - 1)));
  std::vector<double> seconds;
  for (int i = 0; i < repeats; ++i)
    seconds.push_back(time_one(call));
  return summary(seconds);
}

Turns time_in_turns(const std::function<void()>& one, const std::function<void()>& other, int repeats) {
  time_one(one);
  time_one(other);
  std::vector<double> ones, others, ratios;
  for (int i = 0; i < repeats; ++i) {
    ones.push_back(time_one(one));
    others.push_back(time_one(other));
    ratios.push_back(others.back() / ones.back());
  }
  return {summary(ones), summary(others), summary(ratios).median};
}

namespace {
/// The best of a plain copy and of a += b on all threads: which one uses the memory best differs between machines.
double copy_bandwidth(bool quick) {
  const std::int64_t n = (quick ? 16 : 64) << 20;
  Buffer<float> from(n, "bench copy from"), to(n, "bench copy to");
  device_zero(from.data(), from.bytes());
  device_zero(to.data(), to.bytes());
  const double bytes = static_cast<double>(from.bytes());
  const int repeats = quick ? 3 : 7;
  const Seconds copy = time_calls([&] { copy_on_device(to.data(), from.data(), from.bytes()); }, repeats);
  const Seconds add = time_calls([&] { add_to(to.data(), from.data(), n); }, repeats);
  return std::max(2 * bytes / copy.fastest, 3 * bytes / add.fastest);
}
} // namespace

Machine measure_machine(bool quick) {
  const double seconds = quick ? 0.2 : 1.0;
  const LinearShape shape{2048, 512, 2048};
  return {matrix_rate<float>(shape, seconds), matrix_rate<bf16>(shape, seconds), matrix_rate<fp16>(shape, seconds),
          copy_bandwidth(quick)};
}

double Figure::floor(const Machine& machine) const {
  return std::max(operations / machine.matrix(precision), bytes / machine.copy);
}

void figures_heading(Console& console, const std::string& title, bool compared) {
  console.line(fmt::format("\n{:<24} {:<28} {:<5} {:>7} {:>5} {:>10} {:>10} {:>10} {:>6}{}", title, "", "", "N",
                           "width", "median", "fastest", "floor", "share", compared ? "       bare  ratio" : ""));
}

void figure_line(Console& console, const Machine& machine, const Figure& f) {
  const std::string bare =
      f.bare > 0 ? fmt::format(" {:>10} {:>6.2f}", human_seconds(f.bare), f.bare_ratio) : std::string();
  console.line(fmt::format("{:<24} {:<28} {:<5} {:>7} {:>5} {:>10} {:>10} {:>10} {:>5.0f}%{}", f.operation, f.what,
                           f.precision, f.length, f.width, human_seconds(f.seconds.median),
                           human_seconds(f.seconds.fastest), human_seconds(f.floor(machine)), 100 * f.share(machine),
                           bare));
}

void write_bench_json(const std::string& path, const Machine& machine, const std::vector<Figure>& figures,
                      const std::vector<std::string>& steps) {
  JsonObject device("  ");
  device.add("device", json_text(Runtime::description()))
      .add("threads", std::to_string(Runtime::threads()))
      .add("matrix_fp32", json_number(machine.matrix_fp32))
      .add("matrix_bf16", json_number(machine.matrix_bf16))
      .add("matrix_fp16", json_number(machine.matrix_fp16))
      .add("copy_bandwidth", json_number(machine.copy));
  std::string rows;
  for (const Figure& f : figures) {
    JsonObject row("    ");
    row.add("operation", json_text(f.operation))
        .add("what", json_text(f.what))
        .add("precision", json_text(f.precision))
        .add("N", std::to_string(f.length))
        .add("width", std::to_string(f.width))
        .add("density", json_number(f.density))
        .add("operations", json_number(f.operations))
        .add("bytes", json_number(f.bytes))
        .add("seconds", json_number(f.seconds.median))
        .add("fastest_seconds", json_number(f.seconds.fastest))
        .add("repeats", std::to_string(f.seconds.repeats))
        .add("floor_seconds", json_number(f.floor(machine)))
        .add("share", json_number(f.share(machine)))
        .add("memory", json_number(f.memory));
    if (f.bare > 0)
      row.add("bare_seconds", json_number(f.bare)).add("bare_ratio", json_number(f.bare_ratio));
    rows += (rows.empty() ? "\n    " : ",\n    ") + row.json();
  }
  std::string step_rows;
  for (const std::string& step : steps)
    step_rows += (step_rows.empty() ? "\n    " : ",\n    ") + step;
  JsonObject all;
  all.add("machine", device.json()).add("figures", "[" + rows + "\n  ]").add("steps", "[" + step_rows + "\n  ]");
  replace_file(path, all.json() + "\n");
}

} // namespace weft
