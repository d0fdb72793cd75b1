#include "commands/bench_kernels.hpp"
#include "commands/bench_call.hpp"
#include "kernels/activation/activation.hpp"
#include "kernels/common/memory.hpp"
#include "kernels/gemm/bare.hpp"
#include "kernels/gemm/gemm.hpp"
#include "kernels/loss/loss.hpp"
#include "kernels/norm/norm.hpp"
#include "kernels/optimizer/optimizer.hpp"
#include "kernels/residual/residual.hpp"
#include "kernels/sum/sum.hpp"
#include <algorithm>
#include <fmt/core.h>

namespace weft {

namespace {

template <class T>
void products_of(const Bench& bench, const std::string& name, const LinearShape& s) {
  linear_reserve(linear_workspace_bytes<T>(s));
  Buffer<T> x = numbers<T>(s.rows * s.inputs), w = numbers<T>(s.inputs * s.outputs), y = numbers<T>(s.rows * s.outputs);
  Buffer<float> b = numbers<float>(s.outputs), dw = numbers<float>(s.inputs * s.outputs);
  const double operations =
      2.0 * static_cast<double>(s.rows) * static_cast<double>(s.inputs) * static_cast<double>(s.outputs);
  const double all = static_cast<double>(x.bytes() + w.bytes() + y.bytes());
  const std::string what = fmt::format("{} {} -> {}", name, s.inputs, s.outputs);
  std::function<void()> bare_forward, bare_input, bare_weight;
  if constexpr (device_is_host && !std::is_same_v<T, fp16>) {
    bare_forward = bare_product<T, T>(s.rows, s.outputs, s.inputs);
    bare_input = bare_product<T, T>(s.rows, s.inputs, s.outputs);
    bare_weight = bare_product<T, float>(s.inputs, s.outputs, s.rows);
  }
  bench(
      "product forward", what, operations, all, [&] { linear_forward(s, y.data(), x.data(), w.data(), b.data()); },
      bare_forward);
  bench(
      "product backward input", what, operations, all, [&] { linear_backward_input(s, x.data(), y.data(), w.data()); },
      bare_input);
  bench(
      "product backward weight", what, operations,
      all + static_cast<double>(dw.bytes()) - static_cast<double>(w.bytes()),
      [&] { linear_backward_weight(s, dw.data(), x.data(), y.data()); }, bare_weight);
}

template <class T>
void passes_of(const Bench& bench) {
  const std::int64_t M = bench.rows, D = bench.width, F = 4 * D, V = 256;
  const double cell = sizeof(T), wide = static_cast<double>(M * F) * cell, row = static_cast<double>(M * D) * cell;
  Buffer<T> a = numbers<T>(M * F), b = numbers<T>(M * F), c = numbers<T>(M * D), again = numbers<T>(M * F);
  Buffer<float> gain = numbers<float>(D), bias = numbers<float>(D), mean(M, "bench"), rstd(M, "bench");
  Buffer<float> dgain(F, "bench"), dbias(D, "bench");
  Buffer<float> partial(std::max(norm_workspace(M, D), column_sum_workspace(M, F)), "bench");
  bench("norm forward", "", 0, 2 * row,
        [&] { norm_forward(a.data(), mean.data(), rstd.data(), c.data(), gain.data(), bias.data(), M, D, 1e-5f); });
  bench("norm backward", "", 0, 4 * row, [&] {
    norm_backward(b.data(), dgain.data(), dbias.data(), a.data(), c.data(), mean.data(), rstd.data(), gain.data(), M, D,
                  partial.data());
  });
  device_zero(a.data(), a.bytes()); // the gradient above has grown over the repeats
  device_zero(b.data(), b.bytes());
  bench("activation forward", "", 0, 2 * wide, [&] { activation_forward(a.data(), b.data(), M * F); });
  bench("activation backward", "", 0, 4 * wide,
        [&] { activation_backward(again.data(), a.data(), dgain.data(), a.data(), b.data(), M, F, partial.data()); });
  Dropout dropout;
  const ResidualShape shape{1, M, D};
  for (const float p : {0.0f, 0.1f}) {
    dropout.probability = p;
    bench("residual and norm", fmt::format("p = {:g}", p), 0, 4 * row, [&] {
      residual_forward(a.data(), b.data(), mean.data(), rstd.data(), c.data(), again.data(), dropout, gain.data(),
                       bias.data(), 1e-5f, shape);
    });
  }
  bench("residual backward", "p = 0.1", 0, 2 * row,
        [&] { residual_backward(a.data(), dgain.data(), c.data(), dropout, shape, partial.data()); });
  bench("column sum", "4 D", 0, wide, [&] { column_sum(dgain.data(), b.data(), M, F, partial.data()); });
  Buffer<float> logits = numbers<float>(M * V);
  Buffer<std::uint16_t> targets(M, "bench");
  device_zero(targets.data(), targets.bytes());
  bench("loss with gradient", "V = 256", 0, static_cast<double>(M * V) * (4 + cell),
        [&] { cross_entropy(mean.data(), rstd.data(), a.data(), logits.data(), targets.data(), 1e-4f, M, V); });
}

void passes_over_weights(const Bench& bench, std::int64_t n) {
  const double count = static_cast<double>(n);
  const std::string what = fmt::format("{:.0f} M weights", count / 1e6);
  Buffer<float> w = numbers<float>(n), m = numbers<float>(n), v = numbers<float>(n), g = numbers<float>(n);
  Buffer<bf16> low(n, "bench");
  device_zero(m.data(), m.bytes());
  device_zero(v.data(), v.bytes());
  AdamStep step{};
  step.learning_rate = 1e-4;
  step.beta1 = 0.9;
  step.beta2 = 0.95;
  step.epsilon = 1e-8;
  step.weight_decay = 0.01;
  step.decoupled = true;
  step.gradient_factor = 1;
  step.step = 1;
  bench("optimiser", what, 0, 28 * count, [&] { adam_step(w.data(), m.data(), v.data(), g.data(), n, step); });
  bench("weights to bf16", what, 0, 6 * count, [&] { convert(low.data(), w.data(), n); });
  bench("gradient norm", what, 0, 4 * count, [&] { sum_of_squares(g.data(), n); });
  bench("sum of two gradients", what, 0, 12 * count, [&] { add(m.data(), w.data(), g.data(), n); });
}

template <class T>
void products_in(Console& console, const Machine& machine, bool quick, std::vector<Figure>& figures) {
  for (const std::int64_t D : quick ? std::vector<std::int64_t>{256} : std::vector<std::int64_t>{256, 512}) {
    const std::int64_t rows = quick ? 512 : 4096;
    const Bench bench{console, machine, figures, precision_name<T>(), rows, D, quick ? 5 : 7};
    products_of<T>(bench, "qkv", {rows, D, 3 * D});
    products_of<T>(bench, "out", {rows, D, D});
    products_of<T>(bench, "feedforward in", {rows, D, 4 * D});
    products_of<T>(bench, "feedforward out", {rows, 4 * D, D});
  }
}

} // namespace

void bench_products(Console& console, const Machine& machine, bool quick, std::vector<Figure>& figures) {
  figures_heading(console, "matrix products", device_is_host);
  products_in<float>(console, machine, quick, figures);
  products_in<bf16>(console, machine, quick, figures);
  if (!device_is_host) // on a host fp16 is there to be tested, not to be fast
    products_in<fp16>(console, machine, quick, figures);
  for (const char* precision : {"fp32", "bf16"}) {
    std::vector<double> ratios;
    for (const Figure& f : figures)
      if (f.bare > 0 && f.precision == precision)
        ratios.push_back(f.bare_ratio);
    std::sort(ratios.begin(), ratios.end());
    if (!ratios.empty())
      console.line(fmt::format("{}: the bare product takes {:.2f} of our time at the median shape, {:.2f} to {:.2f}",
                               precision, ratios[ratios.size() / 2], ratios.front(), ratios.back()));
  }
}

void bench_passes(Console& console, const Machine& machine, bool quick, std::vector<Figure>& figures) {
  figures_heading(console, "passes over memory");
  const std::int64_t rows = quick ? 1024 : 16384, width = quick ? 256 : 512;
  passes_of<float>({console, machine, figures, "fp32", rows, width, quick ? 5 : 9});
  passes_of<bf16>({console, machine, figures, "bf16", rows, width, quick ? 5 : 9});
  if (!device_is_host)
    passes_of<fp16>({console, machine, figures, "fp16", rows, width, quick ? 5 : 9});
  passes_over_weights({console, machine, figures, "fp32", 0, 0, quick ? 5 : 9}, quick ? 1 << 20 : 1 << 24);
}

} // namespace weft
