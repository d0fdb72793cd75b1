#include "training/resources.hpp"
#include "io/error.hpp"
#include "kernels/common/memory.hpp"
#include "parallel/gradients.hpp"
#include "training/checkpoint_writer.hpp"
#include <algorithm>
#include <cstdio>
#include <fmt/core.h>
#include <sched.h>
#include <unistd.h>

namespace weft {

namespace {
/// What a line of a file of the kernel's says in kilobytes; 0 where there is no such line.
std::size_t bytes_in(const char* path, const char* line_format) {
  std::size_t kilobytes = 0;
  if (std::FILE* file = std::fopen(path, "r")) {
    char line[256];
    while (std::fgets(line, sizeof line, file) != nullptr && std::sscanf(line, line_format, &kilobytes) != 1)
      continue;
    std::fclose(file);
  }
  return kilobytes * 1024;
}
} // namespace

std::size_t resident_bytes() {
  std::size_t pages = 0, resident = 0;
  if (std::FILE* file = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(file, "%zu %zu", &pages, &resident) != 2)
      resident = 0;
    std::fclose(file);
  }
  return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

// Not getrusage: its figure lives through exec, so it holds what the program that started this one had.
std::size_t peak_bytes() { return bytes_in("/proc/self/status", "VmHWM: %zu"); }
std::size_t available_bytes() { return bytes_in("/proc/meminfo", "MemAvailable: %zu"); }

MemoryPlan plan_memory(const Config& config, const Model& model, int ranks) {
  const ModelCosts costs = model.costs();
  const auto flat = static_cast<std::size_t>(model.parameters().extent()) * sizeof(float);
  MemoryPlan plan{};
  plan.weights = flat + costs.low_precision_bytes;
  const ParameterList& parameters = model.parameters();
  plan.moments =
      2 * sizeof(float) *
      static_cast<std::size_t>(config.parallel.shard_optimizer ? largest_part(parameters, ranks) : parameters.extent());
  plan.checkpoint = CheckpointWriter::copy_bytes(config, parameters, ranks);
  plan.gradients =
      GradientSum::bytes(ranks, model.parameters().extent(), config.training.batch / config.training.micro_batch,
                         static_cast<std::size_t>(config.parallel.bucket_mib * 1048576));
  plan.activations = costs.activation_bytes;
  plan.scratch = costs.scratch_bytes;
  plan.patterns = costs.pattern_bytes;
  // The lists are built already. 10 MiB: what oneDNN's packing, HDF5 and their code add once steps are taken and files
  // are written; 8 to 12 MiB at four sizes of model between 36 and 440 MiB.
  plan.program = resident_bytes() - std::min(resident_bytes(), plan.patterns) + (std::size_t{10} << 20);
  // Loss and hit of every token that a rank computes in a step: they are read when the step is done.
  const std::int64_t slots = config.training.batch / config.training.micro_batch;
  plan.program +=
      static_cast<std::size_t>((slots + ranks - 1) / ranks * config.training.micro_batch * config.model.context) * 2 *
      sizeof(float);
  return plan;
}

void require_slots(const Config& config, int ranks) {
  const std::int64_t slots = config.training.batch / config.training.micro_batch;
  if (slots < ranks)
    throw InputError(fmt::format("{} ranks, but training.batch = {} makes only {} micro-batches of {}; start at most "
                                 "{} ranks, or raise training.batch",
                                 ranks, config.training.batch, slots, config.training.micro_batch, slots));
}

void require_build(const Config& config, bool on_device) {
  if (on_device)
    return;
  const char* key = config.parallel.cuda_graph            ? "cuda_graph = true"
                    : config.parallel.transport == "nccl" ? "transport = \"nccl\""
                                                          : nullptr;
  if (key != nullptr)
    throw InputError(
        fmt::format("got parallel.{}, and this is the cpu build of weft, which computes on no GPU; take the "
                    "cuda build, or leave the key out",
                    key));
}

void require_device_memory(const MemoryPlan& plan, const Config& config, std::size_t available, int ranks_sharing) {
  // Libraries and the copy for the checkpoint are on the host.
  const std::size_t needed = (plan.total() - plan.program - plan.checkpoint) * static_cast<std::size_t>(ranks_sharing);
  if (needed <= available)
    return;
  const auto bytes = [](std::size_t n) { return human_bytes(static_cast<double>(n)); };
  const bool smaller_batch = config.training.micro_batch > 1;
  const bool more_recompute = config.model.recompute != "block";
  std::string advice = "a smaller model.width, model.layers or model.context";
  if (smaller_batch && plan.activations > plan.weights)
    advice = fmt::format("a training.micro_batch below {}", config.training.micro_batch);
  else if (more_recompute && plan.activations > plan.weights)
    advice = "model.recompute = \"block\"";
  throw InputError(fmt::format(
      "out of device memory before the start: {} needed{}, {} free; per rank weights {}, moments {}, gradients {}, "
      "activations {}, scratch {}, tile lists {}; take {}",
      bytes(needed), ranks_sharing > 1 ? fmt::format(" by {} ranks on one device", ranks_sharing) : "",
      bytes(available), bytes(plan.weights), bytes(plan.moments), bytes(plan.gradients), bytes(plan.activations),
      bytes(plan.scratch), bytes(plan.patterns), advice));
}

MatrixRate measure_matrix_rate(const Config& config) {
  const std::int64_t width = std::min<std::int64_t>(config.model.width, 4096); // wider ones reach no other rate
  const LinearShape shape{std::clamp<std::int64_t>(config.training.micro_batch * config.model.context, 256, 2048),
                          width, 4 * width};
  if (config.run.precision == "bf16")
    return matrix_rates<bf16>(shape, 0.2);
  return config.run.precision == "fp16" ? matrix_rates<fp16>(shape, 0.2) : matrix_rates<float>(shape, 0.2);
}

double expected_step_seconds(const Config& config, const Model& model, int ranks, double rate) {
  const ModelCosts c = model.costs();
  // Attention runs the whole tiles that hold its keys, at about half the rate of a matrix product.
  const double executed =
      c.matrix_flops_per_token * (1 + c.backward_factor) + 2 * 3.5 * c.executed_attention_flops_per_token;
  const std::int64_t passes = (config.training.batch / config.training.micro_batch + ranks - 1) / ranks; // at most
  const auto per_rank = static_cast<double>(passes * config.training.micro_batch);
  return per_rank * static_cast<double>(config.model.context) * executed / rate;
}

std::string resources_text(const Config& config, const Model& model, const MemoryPlan& memory, const TimePlan& time) {
  const ModelCosts c = model.costs();
  const double forward = c.matrix_flops_per_token + c.attention_flops_per_token;
  const double training = forward * (1 + c.backward_factor);
  Table table("what this run takes");
  table.heading("model");
  table.row("parameters", exact_count(model.parameters().count()));
  table.row("tensors", exact_count(static_cast<std::int64_t>(model.parameters().all().size())));
  table.row("tokens per step", exact_count(time.tokens));
  table.heading("work per token, operations");
  table.row("forward", human_count(forward));
  table.row("  matrix products", human_count(c.matrix_flops_per_token));
  table.row("  attention, keys seen", human_count(c.attention_flops_per_token));
  table.row("  attention, tiles run", human_count(c.executed_attention_flops_per_token));
  table.row("forward and backward", human_count(training));
  table.heading("memory per rank");
  table.row("weights", human_bytes(static_cast<double>(memory.weights)));
  table.row("optimiser moments", human_bytes(static_cast<double>(memory.moments)));
  table.row("copy for the checkpoint", human_bytes(static_cast<double>(memory.checkpoint)));
  table.row("gradients", human_bytes(static_cast<double>(memory.gradients)));
  table.row("activations", human_bytes(static_cast<double>(memory.activations)));
  table.row("scratch of matrix products", human_bytes(static_cast<double>(memory.scratch)));
  table.row("attention tile lists", human_bytes(static_cast<double>(memory.patterns)));
  table.row("program and libraries", human_bytes(static_cast<double>(memory.program)));
  table.row("together", human_bytes(static_cast<double>(memory.total())));
  const auto files = static_cast<double>(config.checkpoint.keep + 1); // and the best one
  table.row("checkpoints on the disk",
            fmt::format("{} x {}, and one more while it is written", files,
                        human_bytes(3.0 * sizeof(float) * static_cast<double>(model.parameters().stored()))));
  table.heading(time.measured ? "time, from micro-batches that were run" : "time, estimated");
  table.row("matrix products reach", human_count(time.rate.best) + "FLOP/s per rank");
  table.row("a step", human_seconds(time.step));
  table.row("tokens per second", human_count(static_cast<double>(time.tokens) / time.step));
  if (time.steps > 0)
    table.row("the run",
              fmt::format("{} for {} steps, without evaluations",
                          human_seconds(time.step * static_cast<double>(time.steps)), exact_count(time.steps)));
  return table.text();
}

std::string memory_note(const MemoryPlan& memory) {
  const std::size_t available = available_bytes();
  if (!device_is_host || available == 0 || memory.total() <= available)
    return "";
  return fmt::format("a rank takes {}, and this machine has {} free", human_bytes(static_cast<double>(memory.total())),
                     human_bytes(static_cast<double>(available)));
}

std::string threads_note() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0 || Runtime::threads() <= CPU_COUNT(&set))
    return "";
  return fmt::format("{} threads share {} processor{}, which is slower than as many threads as processors; set "
                     "OMP_NUM_THREADS={}",
                     Runtime::threads(), CPU_COUNT(&set), CPU_COUNT(&set) == 1 ? "" : "s", CPU_COUNT(&set));
}

std::string busy_note(const MatrixRate& rate) {
  if (rate.median >= 0.5 * rate.best)
    return "";
  return fmt::format(
      "the machine is busy: matrix products reach {}FLOP/s at best and {}FLOP/s half of the time; an idle "
      "machine takes less time than what is told",
      human_count(rate.best), human_count(rate.median));
}

} // namespace weft
