#include "commands/bench_step.hpp"
#include "commands/bench_figures.hpp"
#include "commands/bench_trace.hpp"
#include "commands/job.hpp"
#include "config/parse.hpp"
#include "io/json.hpp"
#include "kernels/common/memory.hpp"
#include "kernels/common/regions.hpp"
#include "kernels/optimizer/optimizer.hpp"
#include "kernels/sum/sum.hpp"
#include "model/model.hpp"
#include "parallel/gradients.hpp"
#include "training/loss_scale.hpp"
#include "training/resources.hpp"
#include <algorithm>
#include <cmath>
#include <fmt/core.h>

namespace weft {

namespace {

/// A model in training, on made-up tokens.
class Steps {
 public:
  Steps(const Config& config, const Ranks& ranks, Model& model)
      : config_(config), model_(model), n_(model.parameters().extent()),
        gradients_(ranks, n_, config.training.batch / config.training.micro_batch,
                   static_cast<std::size_t>(config.parallel.bucket_mib * 1048576)),
        weights_(n_, "weights"), m_(n_, "m"), v_(n_, "v"),
        tokens_(static_cast<std::size_t>(config.training.micro_batch * config.model.context)) {
    std::vector<float> values(static_cast<std::size_t>(n_));
    initialise(values.data(), model.parameters(), static_cast<std::uint64_t>(config.run.seed));
    copy_to_device(weights_.data(), values.data(), weights_.bytes());
    device_zero(m_.data(), m_.bytes());
    device_zero(v_.data(), v_.bytes());
    model.use_weights(weights_.data());
    for (std::size_t i = 0; i < tokens_.size(); ++i)
      tokens_[i] =
          static_cast<std::uint16_t>((i * 2654435761u >> 7) % static_cast<std::size_t>(config.model.vocabulary));
  }

  void step() {
    const std::int64_t micro = config_.training.micro_batch;
    const Share slots = gradients_.slots();
    const double scale = LossScale(config_).value();
    ++step_;
    for (std::int64_t slot = slots.first; slot < slots.last; ++slot) {
      Batch work;
      work.tokens = work.targets = tokens_.data();
      work.length = config_.model.context;
      work.loss_factor = static_cast<float>(scale) / static_cast<float>(config_.training.batch * config_.model.context);
      work.step = static_cast<std::uint32_t>(step_);
      work.first_sample = static_cast<std::uint32_t>(slot * micro);
      model_.forward_backward(work, gradients_.current(), scores_, [&](std::int64_t from) { gradients_.ready(from); });
    }
    const float* gradient = gradients_.finish();
    const TracedSpan span("optimiser");
    const double norm = std::sqrt(sum_of_squares(gradient, n_)) / scale;
    const auto& o = config_.optimizer;
    AdamStep adam{};
    adam.learning_rate = o.learning_rate;
    adam.beta1 = o.beta1;
    adam.beta2 = o.beta2;
    adam.epsilon = o.epsilon;
    adam.decoupled = o.kind == "adamw";
    adam.gradient_factor = (o.clip > 0 && norm > o.clip ? o.clip / norm : 1.0) / scale;
    adam.step = step_;
    for (const Parameter& p : model_.parameters().all()) {
      adam.weight_decay = p.decayed() || o.decay == "all" ? o.weight_decay : 0.0;
      adam_step(weights_.data() + p.offset, m_.data() + p.offset, v_.data() + p.offset, gradient + p.offset, p.size,
                adam);
    }
    model_.use_weights(weights_.data());
    fence();
  }

  GradientSum::Overlap overlap() const { return gradients_.overlap(); }

 private:
  const Config& config_;
  Model& model_;
  std::int64_t n_, step_ = 0;
  GradientSum gradients_;
  Buffer<float> weights_, m_, v_;
  std::vector<std::uint16_t> tokens_;
  Scores scores_;
};

} // namespace

int bench_step(const Ranks& ranks, const std::string& input, const std::vector<std::string>& overrides, bool quick,
               const std::string& json, const std::string& trace) {
  Console console(ranks.root());
  LoadedConfig loaded;
  agree(ranks, [&] {
    loaded = load_config(input, overrides, DataCheck::skipped);
    if (loaded.config.parallel.cuda_graph)
      throw InputError("got parallel.cuda_graph = true, and weft bench takes the time of parts of a micro-batch, which "
                       "a recording runs as one; leave the key out, or compare the tokens per second of weft train");
    require_slots(loaded.config, ranks.size());
  });
  const Config& c = loaded.config;
  const StartedRuntime runtime = start_runtime(ranks, c.parallel.share_device, c.debug.isa);
  std::unique_ptr<Model> model; // declared behind the runtime, so freed before Kokkos ends
  agree(ranks, [&] { model = make_model(c); });
  MemoryPlan plan = plan_memory(c, *model, ranks.size());
  plan.checkpoint = 0; // none is written
  model->allocate();
  Steps steps(c, ranks, *model);

  const int repeats = quick ? 3 : 5;
  std::vector<double> seconds;
  for (int i = 0; i <= repeats; ++i) {
    ranks.barrier();
    const double begin = bench_clock();
    steps.step();
    const double mine = bench_clock() - begin;
    if (i > 0)
      seconds.push_back(ranks.maximum(mine));
  }
  std::sort(seconds.begin(), seconds.end());
  const double step = seconds[seconds.size() / 2];
  // The split comes from steps of its own: its clock stops the device at both ends of a region.
  RegionSeconds split;
  std::vector<Span> spans;
  ranks.barrier();
  measure_regions(&split, trace.empty() ? nullptr : &spans);
  const double begin = bench_clock();
  const int split_steps = quick ? 1 : 2;
  for (int i = 0; i < split_steps; ++i) {
    const TracedSpan span("step", i);
    steps.step();
  }
  const double whole = bench_clock() - begin;
  measure_regions(nullptr);
  if (!trace.empty())
    write_trace(ranks, trace, spans, begin);
  const double rest = 1 - (split.products + split.attention) / whole;

  const double peak = ranks.maximum(static_cast<double>(peak_bytes()));
  const Machine machine = measure_machine(quick); // behind the peak: it takes memory of its own

  const ModelCosts costs = model->costs();
  const double tokens = static_cast<double>(c.training.batch * c.model.context);
  // What the engine multiplies: the model's products three times (forward, two backward), attention's tiles 3.5 times
  // (two products forward, five backward), and what is computed again.
  const double forward = costs.matrix_flops_per_token + costs.attention_flops_per_token;
  const double again = costs.backward_factor * forward - 2 * costs.matrix_flops_per_token -
                       2.5 * costs.attention_flops_per_token; // counted on the keys that are seen
  const double operations =
      tokens * (3 * costs.matrix_flops_per_token + 3.5 * costs.executed_attention_flops_per_token + again);
  const double floor = operations / machine.matrix(c.run.precision) / ranks.size();
  const GradientSum::Overlap overlap = steps.overlap();

  Table table(fmt::format("training steps of {}", input));
  table.row("kernels", fmt::format("{} x {}", ranks.size(), Runtime::description()));
  table.row("model",
            fmt::format("L = {}, D = {}, H = {}, N = {}, batch {}, {}, {}", c.model.layers, c.model.width,
                        c.model.heads, c.model.context, c.training.batch, c.attention.pattern, c.run.precision));
  table.row("a step, median", human_seconds(step));
  table.row("fastest, slowest", human_seconds(seconds.front()) + ", " + human_seconds(seconds.back()));
  table.row("tokens per second", human_count(tokens / step));
  table.row("matrix products", fmt::format("{:.1f} %", 100 * split.products / whole));
  table.row("attention", fmt::format("{:.1f} %", 100 * split.attention / whole));
  table.row("the rest", fmt::format("{:.1f} %", 100 * rest));
  table.row("floor: all operations",
            fmt::format("{} at {}FLOP/s", human_seconds(floor), human_count(machine.matrix(c.run.precision))));
  table.row("share of the floor reached", fmt::format("{:.0f} %", 100 * floor / step));
  table.row("peak memory per rank",
            fmt::format("{}, predicted {}", human_bytes(peak), human_bytes(static_cast<double>(plan.total()))));
  if (ranks.size() > 1)
    table.row("gradient sums",
              fmt::format("{:.0f} % sent during the backward pass, waited {} per step", 100 * overlap.early_share,
                          human_seconds(overlap.waited_seconds / (1 + repeats + split_steps))));
  console.table(table);
  if (json.empty() || !ranks.root())
    return exit_done;
  JsonObject row("    ");
  row.add("input", json_text(input))
      .add("ranks", std::to_string(ranks.size()))
      .add("threads", std::to_string(Runtime::threads()))
      .add("precision", json_text(c.run.precision))
      .add("layers", std::to_string(c.model.layers))
      .add("width", std::to_string(c.model.width))
      .add("N", std::to_string(c.model.context))
      .add("batch", std::to_string(c.training.batch))
      .add("micro_batch", std::to_string(c.training.micro_batch))
      .add("pattern", json_text(c.attention.pattern))
      .add("parameters", std::to_string(model->parameters().count()))
      .add("operations", json_number(operations))
      .add("seconds", json_number(step))
      .add("fastest_seconds", json_number(seconds.front()))
      .add("slowest_seconds", json_number(seconds.back()))
      .add("tokens_per_second", json_number(tokens / step))
      .add("products_share", json_number(split.products / whole))
      .add("attention_share", json_number(split.attention / whole))
      .add("rest_share", json_number(rest))
      .add("floor_seconds", json_number(floor))
      .add("share", json_number(floor / step))
      .add("peak_bytes", json_number(peak))
      .add("predicted_bytes", std::to_string(plan.total()))
      .add("early_share", json_number(overlap.early_share))
      .add("waited_seconds", json_number(overlap.waited_seconds / (1 + repeats + split_steps)));
  write_bench_json(json, machine, {}, {row.json()});
  return exit_done;
}

} // namespace weft
