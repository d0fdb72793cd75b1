#include "commands/bench.hpp"
#include "commands/bench_decode.hpp"
#include "io/atomic_file.hpp"
#include "io/console.hpp"
#include "io/error.hpp"
#include "kernels/attention/attention.hpp"
#include "kernels/gemm/rate.hpp"
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <fmt/core.h>
#include <map>

namespace weft {

namespace {

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

/// Median seconds of a few calls after one to warm up.
double median_seconds(const std::function<void()>& call, int repeats) {
  call();
  fence();
  std::vector<double> seconds;
  for (int i = 0; i < repeats; ++i) {
    const double begin = now();
    call();
    fence();
    seconds.push_back(now() - begin);
  }
  std::sort(seconds.begin(), seconds.end());
  return seconds[seconds.size() / 2];
}

struct Measured {
  std::string pattern, precision;
  std::int64_t length, width;
  double density; ///< keys seen over keys of dense causal attention
  double forward, backward, forward_share, backward_share;
  std::size_t bytes; ///< operands, results and workspace
};

constexpr std::int64_t heads = 2;

template <class T>
Measured measure(const std::string& name, const Pattern& pattern, std::int64_t N, std::int64_t E, double rate,
                 int repeats) {
  const AttentionPlan plan({pattern}, heads);
  const std::int64_t row = 3 * heads * E, out_row = heads * E;
  const AttentionShape shape{1, N, heads, E, E, row, out_row};
  Buffer<T> qkv(N * row, "bench qkv"), dqkv(N * row, "bench dqkv"), out(N * out_row, "bench out"),
      dout(N * out_row, "bench dout");
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
  const std::int64_t D = heads * E;
  Measured m{name, sizeof(T) == 4 ? "fp32" : "bf16", N, E, 0, 0, 0, 0, 0, 0};
  m.forward = median_seconds(
      [&] {
        attention_forward(plan, shape, out.data(), lse.data(), qkv.data(), qkv.data() + D, qkv.data() + 2 * D, scratch);
      },
      repeats);
  m.backward = median_seconds(
      [&] {
        attention_backward(plan, shape, dqkv.data(), dqkv.data() + D, dqkv.data() + 2 * D, dout.data(), qkv.data(),
                           qkv.data() + D, qkv.data() + 2 * D, out.data(), lse.data(), scratch);
      },
      repeats);
  // Two products of a tile forward, five backward.
  const double product = 2.0 * static_cast<double>(plan.tiles()) * query_tile * key_tile * static_cast<double>(E);
  m.forward_share = 2 * product / rate / m.forward;
  m.backward_share = 5 * product / rate / m.backward;
  m.density = static_cast<double>(plan.keys()) / (static_cast<double>(heads * N) * static_cast<double>(N + 1) / 2);
  m.bytes =
      qkv.bytes() + dqkv.bytes() + out.bytes() + dout.bytes() + lse.bytes() + workspace.bytes() + plan.host_bytes();
  return m;
}

struct Kind {
  std::string name;
  std::function<Pattern(int)> make;
  std::int64_t longest;
};

template <class T>
void bench_precision(Console& console, std::vector<Measured>& all, bool quick) {
  const char* precision = sizeof(T) == 4 ? "fp32" : "bf16";
  const double rate = matrix_rate<T>({2048, 512, 2048}, quick ? 0.2 : 0.6);
  console.line(
      fmt::format("\n{}: a matrix product of 2048 x 512 x 2048 reaches {}FLOP/s; shares below are of that rate, on "
                  "the tiles that are run",
                  precision, human_count(rate)));
  console.line(fmt::format("{:<24} {:>7} {:>9} {:>11} {:>7} {:>11} {:>7} {:>12} {:>10}", "attention, E = 64, H = 2",
                           "N", "density", "forward", "share", "backward", "share", "against dense", "memory"));
  const std::int64_t longest = quick ? 2048 : 16384;
  const Kind kinds[] = {{"dense", [](int N) { return dense(N); }, longest},
                        {"local l=128", [](int N) { return local(N, 128); }, longest},
                        {"fixed l=128 c=32", [](int N) { return fixed_merged(N, 128, 32, 0); }, longest},
                        {"strided l=128", [](int N) { return strided_merged(N, 128); }, 4 * longest}};
  std::map<std::int64_t, double> dense_seconds;
  for (const Kind& kind : kinds) {
    std::vector<std::pair<double, double>> points; // log N, log seconds
    for (std::int64_t N = 1024; N <= kind.longest; N *= 2) {
      const Measured m = measure<T>(kind.name, kind.make(static_cast<int>(N)), N, 64, rate, N > 4096 ? 3 : 5);
      const double seconds = m.forward + m.backward;
      if (kind.name == "dense")
        dense_seconds[N] = seconds;
      const std::string against =
          dense_seconds.count(N) ? fmt::format("{:.2f} x faster", dense_seconds[N] / seconds) : "-";
      console.line(fmt::format("{:<24} {:>7} {:>8.2f}% {:>11} {:>6.0f}% {:>11} {:>6.0f}% {:>13} {:>10}", kind.name, N,
                               100 * m.density, human_seconds(m.forward), 100 * m.forward_share,
                               human_seconds(m.backward), 100 * m.backward_share, against,
                               human_bytes(static_cast<double>(m.bytes))));
      points.emplace_back(std::log(static_cast<double>(N)), std::log(seconds));
      all.push_back(m);
    }
    if (points.size() < 2)
      continue;
    const auto& [x0, y0] = points[(points.size() - 1) / 2];
    const auto& [x1, y1] = points.back();
    console.line(fmt::format("{:<24} time grows as N^{:.2f} over the upper half", kind.name, (y1 - y0) / (x1 - x0)));
  }
}

struct Options {
  bool quick = false, decode = false;
  std::int64_t samples = 4, width = 128;
  std::string json, precision = "fp32";
};

int bench(const Options& options) {
  const bool quick = options.quick;
  const std::string& json = options.json;
  const Runtime runtime;
  Console console;
  console.line(Runtime::description());
  if (options.decode) {
    bench_decode(console, quick, options.samples, options.width, options.precision, json);
    return exit_done;
  }
  std::vector<Measured> all;
  bench_precision<float>(console, all, quick);
  bench_precision<bf16>(console, all, quick);
  if (!json.empty()) {
    std::string text = "[\n";
    for (const Measured& m : all)
      text += fmt::format(
          "  {{\"operation\": \"attention\", \"pattern\": \"{}\", \"precision\": \"{}\", \"N\": {}, \"E\": {}, "
          "\"H\": {}, \"density\": {}, \"forward_s\": {}, \"backward_s\": {}, \"forward_share\": {}, "
          "\"backward_share\": {}, \"bytes\": {}}}{}\n",
          m.pattern, m.precision, m.length, m.width, heads, m.density, m.forward, m.backward, m.forward_share,
          m.backward_share, m.bytes, &m == &all.back() ? "" : ",");
    replace_file(json, text + "]\n");
  }
  return exit_done;
}

} // namespace

void add_bench(CLI::App& app, std::function<int()>& action) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("bench", "time attention and matrix products against their floors");
  command->add_flag("--quick", options->quick, "short sequences only");
  command->add_option("--json", options->json, "write the figures to this file");
  command->add_flag("--decode", options->decode, "time sampling byte by byte instead: dense, fixed, strided");
  command->add_option("--samples", options->samples, "samples side by side (with --decode)");
  command->add_option("--width", options->width, "model.width, a multiple of 32 (with --decode)");
  command->add_option("--precision", options->precision, "fp32 or bf16 (with --decode)")
      ->check(CLI::IsMember({"fp32", "bf16"}));
  command->callback([options, &action] { action = [options] { return bench(*options); }; });
}

} // namespace weft
