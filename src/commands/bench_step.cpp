#include "commands/bench_step.hpp"
#include "commands/bench_figures.hpp"
#include "commands/bench_trace.hpp"
#include "commands/carrier.hpp"
#include "commands/job.hpp"
#include "config/parse.hpp"
#include "config/readers.hpp"
#include "io/json.hpp"
#include "kernels/common/memory.hpp"
#include "kernels/common/regions.hpp"
#include "model/model.hpp"
#include "tasks/made_up.hpp"
#include "tasks/resolve.hpp"
#include "training/resources.hpp"
#include "training/step.hpp"
#include <algorithm>
#include <fmt/core.h>

namespace weft {

namespace {

struct Options {
  const std::string& input;
  bool quick;
  const std::string &json, &trace;
};

/// What was measured of a model in training.
struct Figures {
  int steps = 0; ///< taken in all
  double step = 0, fastest = 0, slowest = 0;
  double products = 0, attention = 0; ///< shares of a step's time
  GradientSum::Overlap overlap;
  double peak = 0; ///< bytes
  double rest() const { return 1 - (products + attention); }
  double waited() const { return overlap.waited_seconds / steps; }
};

LoadedConfig load(const std::string& input, const std::vector<std::string>& overrides, const Ranks& ranks) {
  LoadedConfig loaded;
  agree(ranks, [&] {
    loaded = load_config(input, overrides, DataCheck::skipped);
    resolve_from_data(loaded.config);
    if (loaded.config.parallel.cuda_graph)
      throw InputError("got parallel.cuda_graph = true, and weft bench takes the time of parts of a micro-batch, which "
                       "a recording runs as one; leave the key out, or compare the tokens per second of weft train");
    require_slots(loaded.config, ranks.size());
  });
  return loaded;
}

/// Seconds of a step on the slowest rank; the first step, which takes memory and chooses algorithms, is not counted.
void time_steps(Figures& figures, Step& step, const Ranks& ranks, int repeats) {
  std::vector<double> seconds;
  for (int i = 0; i <= repeats; ++i) {
    ranks.barrier();
    const double begin = bench_clock();
    step.take();
    fence();
    const double mine = bench_clock() - begin;
    if (i > 0)
      seconds.push_back(ranks.maximum(mine));
  }
  std::sort(seconds.begin(), seconds.end());
  figures.steps += 1 + repeats;
  figures.step = seconds[seconds.size() / 2];
  figures.fastest = seconds.front();
  figures.slowest = seconds.back();
}

/// The split comes from steps of its own: its clock stops the device at both ends of a region.
void split_steps(Figures& figures, Step& step, const Ranks& ranks, int repeats, const std::string& trace) {
  RegionSeconds split;
  std::vector<Span> spans;
  ranks.barrier();
  measure_regions(&split, trace.empty() ? nullptr : &spans);
  const double begin = bench_clock();
  for (int i = 0; i < repeats; ++i) {
    const TracedSpan span("step", i);
    step.take();
    fence();
  }
  const double whole = bench_clock() - begin;
  measure_regions(nullptr);
  if (!trace.empty())
    write_trace(ranks, trace, spans, begin);
  figures.steps += repeats;
  figures.products = split.products / whole;
  figures.attention = split.attention / whole;
}

Figures measure(const Config& config, const Ranks& ranks, Model& model, const std::vector<RankDevice>& devices,
                const Options& options) {
  std::string transport;
  std::unique_ptr<Carrier> carrier = make_carrier(config, ranks, devices, transport);
  const MadeUp task(config);
  TrainingState state = initial_state(config, model.parameters(), ranks.rank(), ranks.size());
  model.use_weights(state.weights.data());
  Step step(config, ranks, model, task, run_length(config, task), state, std::move(carrier));
  step.open();
  Figures figures;
  time_steps(figures, step, ranks, options.quick ? 3 : 5);
  split_steps(figures, step, ranks, options.quick ? 1 : 2, options.trace);
  figures.peak = ranks.maximum(static_cast<double>(peak_bytes()));
  figures.overlap = step.overlap();
  return figures;
}

double tokens_of_step(const Config& c) {
  return static_cast<double>(c.training.batch * MadeUp(c).shape().row_tokens());
}

/// What mixes the rows of a sequence.
const std::string& mixer_of(const Config& c) {
  return is_read(c, "attention.pattern") ? c.attention.pattern : c.model.family;
}

/// What the engine multiplies: the model's products three times (forward, two backward), attention's tiles 3.5 times
/// (two products forward, five backward), and what is computed again.
double operations_of_step(const Config& config, const ModelCosts& costs) {
  const double forward = costs.matrix_flops_per_token + costs.attention_flops_per_token;
  const double again = costs.backward_factor * forward - 2 * costs.matrix_flops_per_token -
                       2.5 * costs.attention_flops_per_token; // counted on the keys that are seen
  return tokens_of_step(config) *
         (3 * costs.matrix_flops_per_token + 3.5 * costs.executed_attention_flops_per_token + again);
}

void print_figures(Console& console, const Config& c, const Ranks& ranks, const Figures& f, const Machine& machine,
                   double floor, const MemoryPlan& plan, const Options& options) {
  Table table(fmt::format("training steps of {}", options.input));
  table.row("kernels", fmt::format("{} x {}", ranks.size(), Runtime::description()));
  table.row("model", fmt::format("L = {}, D = {}, {}N = {}, batch {}, {}, {}", c.model.layers, c.model.width,
                                 is_read(c, "model.heads") ? fmt::format("H = {}, ", c.model.heads) : "",
                                 c.model.context, c.training.batch, mixer_of(c), c.run.precision));
  table.row("a step, median", human_seconds(f.step));
  table.row("fastest, slowest", human_seconds(f.fastest) + ", " + human_seconds(f.slowest));
  table.row("tokens per second", human_count(tokens_of_step(c) / f.step));
  table.row("matrix products", fmt::format("{:.1f} %", 100 * f.products));
  table.row("attention", fmt::format("{:.1f} %", 100 * f.attention));
  table.row("the rest", fmt::format("{:.1f} %", 100 * f.rest()));
  table.row("floor: all operations",
            fmt::format("{} at {}FLOP/s", human_seconds(floor), human_count(machine.matrix(c.run.precision))));
  table.row("share of the floor reached", fmt::format("{:.0f} %", 100 * floor / f.step));
  table.row("peak memory per rank",
            fmt::format("{}, predicted {}", human_bytes(f.peak), human_bytes(static_cast<double>(plan.total()))));
  if (ranks.size() > 1)
    table.row("gradient sums", fmt::format("{:.0f} % sent during the backward pass, waited {} per step",
                                           100 * f.overlap.early_share, human_seconds(f.waited())));
  console.table(table);
}

std::string json_row(const Config& c, const Ranks& ranks, const Figures& f, std::int64_t parameters, double operations,
                     double floor, const MemoryPlan& plan, const Options& options) {
  JsonObject row("    ");
  row.add("input", json_text(options.input))
      .add("ranks", std::to_string(ranks.size()))
      .add("threads", std::to_string(Runtime::threads()))
      .add("precision", json_text(c.run.precision))
      .add("layers", std::to_string(c.model.layers))
      .add("width", std::to_string(c.model.width))
      .add("N", std::to_string(c.model.context))
      .add("batch", std::to_string(c.training.batch))
      .add("micro_batch", std::to_string(c.training.micro_batch))
      .add("pattern", json_text(mixer_of(c)))
      .add("parameters", std::to_string(parameters))
      .add("operations", json_number(operations))
      .add("seconds", json_number(f.step))
      .add("fastest_seconds", json_number(f.fastest))
      .add("slowest_seconds", json_number(f.slowest))
      .add("tokens_per_second", json_number(tokens_of_step(c) / f.step))
      .add("products_share", json_number(f.products))
      .add("attention_share", json_number(f.attention))
      .add("rest_share", json_number(f.rest()))
      .add("floor_seconds", json_number(floor))
      .add("share", json_number(floor / f.step))
      .add("peak_bytes", json_number(f.peak))
      .add("predicted_bytes", std::to_string(plan.total()))
      .add("early_share", json_number(f.overlap.early_share))
      .add("waited_seconds", json_number(f.waited()));
  return row.json();
}

} // namespace

StepTime time_step(const Ranks& ranks, const std::string& input, const std::vector<std::string>& overrides,
                   bool quick) {
  const Config config = load(input, overrides, ranks).config;
  const StartedRuntime runtime = start_runtime(ranks, config.parallel.share_device, config.debug.isa);
  std::unique_ptr<Model> model;
  agree(ranks, [&] { model = make_model(config); });
  model->allocate();
  const std::string none;
  const Figures figures = measure(config, ranks, *model, runtime.devices, {input, quick, none, none});
  return {figures.step, figures.peak};
}

int bench_step(const Ranks& ranks, const std::string& input, const std::vector<std::string>& overrides, bool quick,
               const std::string& json, const std::string& trace) {
  Console console(ranks.root());
  const Options options{input, quick, json, trace};
  const LoadedConfig loaded = load(input, overrides, ranks);
  const Config& c = loaded.config;
  const StartedRuntime runtime = start_runtime(ranks, c.parallel.share_device, c.debug.isa);
  std::unique_ptr<Model> model; // declared behind the runtime, so freed before Kokkos ends
  agree(ranks, [&] { model = make_model(c); });
  MemoryPlan plan = plan_memory(c, *model, ranks.size());
  plan.checkpoint = 0; // none is written
  model->allocate();
  const Figures figures = measure(c, ranks, *model, runtime.devices, options);
  const Machine machine = measure_machine(quick); // behind the peak: it takes memory of its own
  const double operations = operations_of_step(c, model->costs());
  const double floor = operations / machine.matrix(c.run.precision) / ranks.size();
  print_figures(console, c, ranks, figures, machine, floor, plan, options);
  if (!json.empty() && ranks.root())
    write_bench_json(json, machine, {},
                     {json_row(c, ranks, figures, model->parameters().count(), operations, floor, plan, options)});
  return exit_done;
}

} // namespace weft
