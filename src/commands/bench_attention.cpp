#include "commands/bench_attention.hpp"
#include "kernels/attention/attention.hpp"
#include <cmath>
#include <fmt/core.h>
#include <map>
#include <optional>

namespace weft {

namespace {
constexpr std::int64_t heads = 2;

/// What a call may take, and what it will: operations times the seconds that each took in the shorter call before.
struct Pace {
  int most;                         ///< calls that are timed, 3 at least
  double budget, forward, backward; ///< seconds; seconds per operation
  double predicted = 0;             ///< of the call that was left out
  bool fits(double operations, double each) {
    predicted = 2 * operations * each; // one to warm up, one to be timed
    return predicted <= budget;
  }
};

/// Forward and backward; nothing where `pace` (of the lengths before) says that one of them takes too long.
template <class T>
std::optional<std::pair<Figure, Figure>> measure(const std::string& name, const Pattern& pattern, std::int64_t N,
                                                 std::int64_t E, Pace& pace) {
  const AttentionPlan plan({pattern}, heads);
  const double product = 2.0 * static_cast<double>(plan.tiles()) * query_tile * key_tile * static_cast<double>(E);
  if (!pace.fits(2 * product, pace.forward) || !pace.fits(5 * product, pace.backward))
    return std::nullopt;
  const std::int64_t D = heads * E, row = 3 * D;
  const AttentionShape shape{1, N, heads, E, E, row, D};
  Buffer<T> qkv(N * row, "bench qkv"), dqkv(N * row, "bench dqkv"), out(N * D, "bench out"), dout(N * D, "bench dout");
  Buffer<float> lse(heads * N, "bench lse");
  Buffer<unsigned char> workspace(static_cast<std::int64_t>(std::max(attention_workspace_bytes(plan, shape, false),
                                                                     attention_workspace_bytes(plan, shape, true))),
                                  "bench workspace");
  float* scratch = reinterpret_cast<float*>(workspace.data());
  std::vector<T> values(static_cast<std::size_t>(N * row));
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = store<T>(0.1f * static_cast<float>(static_cast<int>(i * 2654435761u % 21) - 10));
  copy_to_device(qkv.data(), values.data(), qkv.bytes());
  copy_to_device(dout.data(), values.data(), dout.bytes());

  Figure forward;
  forward.operation = "attention forward";
  forward.what = name;
  forward.precision = precision_name<T>();
  forward.length = N;
  forward.width = E;
  forward.density =
      static_cast<double>(plan.keys()) / (static_cast<double>(heads * N) * static_cast<double>(N + 1) / 2);
  forward.operations = 2 * product;
  forward.bytes = static_cast<double>(qkv.bytes() + out.bytes() + lse.bytes());
  forward.memory = static_cast<double>(qkv.bytes() + dqkv.bytes() + out.bytes() + dout.bytes() + lse.bytes() +
                                       workspace.bytes() + plan.host_bytes());
  Figure backward = forward;
  backward.operation = "attention backward";
  backward.operations = 5 * product;
  backward.bytes += static_cast<double>(dqkv.bytes() + dout.bytes());
  forward.seconds = time_calls(
      [&] {
        attention_forward(plan, shape, out.data(), lse.data(), qkv.data(), qkv.data() + D, qkv.data() + 2 * D, scratch);
      },
      3, pace.most, pace.budget);
  backward.seconds = time_calls(
      [&] {
        attention_backward(plan, shape, dqkv.data(), dqkv.data() + D, dqkv.data() + 2 * D, dout.data(), qkv.data(),
                           qkv.data() + D, qkv.data() + 2 * D, out.data(), lse.data(), scratch);
      },
      3, pace.most, pace.budget);
  pace.forward = forward.seconds.fastest / forward.operations;
  pace.backward = backward.seconds.fastest / backward.operations;
  return std::pair{forward, backward};
}

struct Kind {
  std::string name;
  std::function<Pattern(int)> make;
};

std::vector<std::int64_t> usual_lengths(bool quick) {
  if (quick)
    return {512, 1024, 2048};
  return {1024, 2048, 4096, 8192, 12288, 16384, 32768, 65536}; // 12,288: the paper's length for text
}

/// Least squares of log seconds against log N over the upper half of the lengths.
double exponent(const std::vector<std::pair<double, double>>& points) {
  const std::size_t first = (points.size() - 1) / 2;
  double n = 0, x = 0, y = 0, xx = 0, xy = 0;
  for (std::size_t i = first; i < points.size(); ++i) {
    const double a = std::log(points[i].first), b = std::log(points[i].second);
    n += 1;
    x += a;
    y += b;
    xx += a * a;
    xy += a * b;
  }
  return (n * xy - x * y) / (n * xx - x * x);
}

template <class T>
void bench_precision(Console& console, const Machine& machine, const AttentionBench& asked,
                     std::vector<Figure>& figures) {
  const Kind kinds[] = {{"dense", [](int N) { return dense(N); }},
                        {"local l=128", [](int N) { return local(N, 128); }},
                        {"fixed l=128 c=32", [](int N) { return fixed_merged(N, 128, 32, 0); }},
                        {"strided l=128", [](int N) { return strided_merged(N, 128); }}};
  const std::string precision = precision_name<T>();
  const double each = 1 / machine.matrix(precision); // until a shorter call is known
  std::map<std::int64_t, double> dense_seconds;
  std::vector<std::string> notes;
  figures_heading(console, fmt::format("attention, H = {}", heads));
  const auto keep = [&](const std::pair<Figure, Figure>& pair) {
    for (const Figure& f : {pair.first, pair.second}) {
      figure_line(console, machine, f);
      figures.push_back(f);
    }
    return pair.first.seconds.median + pair.second.seconds.median;
  };
  for (const Kind& kind : kinds) {
    std::vector<std::pair<double, double>> points;
    Pace pace{asked.quick ? 5 : 25, asked.budget, each, each};
    for (const std::int64_t N : asked.lengths.empty() ? usual_lengths(asked.quick) : asked.lengths) {
      const auto pair = measure<T>(kind.name, kind.make(static_cast<int>(N)), N, 64, pace);
      if (!pair) {
        console.line(fmt::format("{}, {}, N = {}: left out, two calls would take {} of the {} that --budget allows",
                                 kind.name, precision, N, human_seconds(pace.predicted), human_seconds(pace.budget)));
        continue;
      }
      const double seconds = keep(*pair);
      points.emplace_back(static_cast<double>(N), seconds);
      if (kind.name == "dense")
        dense_seconds[N] = seconds;
      else if (N == 12288 && dense_seconds.count(N))
        notes.push_back(fmt::format("{}, N = 12,288: density {:.4f}, forward + backward take {:.4f} of dense",
                                    kind.name, pair->first.density, seconds / dense_seconds[N]));
    }
    if (points.size() > 2)
      notes.push_back(fmt::format("{}, {}: time grows as N^{:.2f} over the upper half of the lengths up to {:.0f}",
                                  kind.name, precision, exponent(points), points.back().first));
  }
  if (!asked.quick && asked.lengths.empty())
    for (const std::int64_t E : {32, 128})
      for (const Kind& kind : kinds) {
        Pace pace{asked.quick ? 5 : 25, asked.budget, each, each};
        if (const auto pair = measure<T>(kind.name, kind.make(4096), 4096, E, pace))
          keep(*pair);
      }
  for (const std::string& note : notes)
    console.line(note);
}
} // namespace

void bench_attention(Console& console, const Machine& machine, const AttentionBench& asked,
                     std::vector<Figure>& figures) {
  bench_precision<float>(console, machine, asked, figures);
  bench_precision<bf16>(console, machine, asked, figures);
  if (!device_is_host) // on a host fp16 is there to be tested, not to be fast
    bench_precision<fp16>(console, machine, asked, figures);
}

} // namespace weft
