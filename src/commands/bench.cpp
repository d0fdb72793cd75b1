#include "commands/bench.hpp"
#include "commands/bench_arena.hpp"
#include "commands/bench_attention.hpp"
#include "commands/bench_decode.hpp"
#include "commands/bench_kernels.hpp"
#include "commands/bench_operations.hpp"
#include "commands/bench_step.hpp"
#include "commands/job.hpp"
#include "commands/shared_options.hpp"
#include "io/error.hpp"
#include "kernels/common/memory.hpp"
#include <CLI/CLI.hpp>
#include <algorithm>
#include <fmt/core.h>

namespace weft {

namespace {

struct Options {
  std::string input;
  std::vector<std::string> overrides, only;
  std::vector<std::int64_t> lengths;
  double budget = AttentionBench().budget;
  bool quick = false, decode = false, arena = false;
  std::int64_t samples = 4, width = 128, batch = ArenaBench().batch;
  std::string json, trace, precision = "fp32", isa = "best";
};

int bench_kernels(const Options& options) {
  use_isa(options.isa, "--isa");
  const Runtime runtime;
  Console console;
  console.line(Runtime::description());
  if (options.decode) {
    bench_decode(console, options.quick, options.samples, options.width, options.precision, options.json);
    return exit_done;
  }
  const auto wanted = [&](const char* part) {
    return options.only.empty() || std::find(options.only.begin(), options.only.end(), part) != options.only.end();
  };
  const Machine machine = measure_machine(options.quick);
  console.line(
      fmt::format("a matrix product of 2048 x 512 x 2048 reaches {}FLOP/s in fp32, {}FLOP/s in bf16, {}FLOP/s in "
                  "fp16; a copy moves {}B/s; floors are made of these",
                  human_count(machine.matrix_fp32), human_count(machine.matrix_bf16), human_count(machine.matrix_fp16),
                  human_count(machine.copy)));
  std::vector<Figure> figures;
  if (wanted("products"))
    bench_products(console, machine, options.quick, figures);
  if (wanted("passes"))
    bench_passes(console, machine, options.quick, figures);
  if (wanted("attention"))
    bench_attention(console, machine, {options.quick, options.lengths, options.budget}, figures);
  if (wanted("operations"))
    bench_operations(console, machine, options.quick, options.lengths, figures);
  if (!options.json.empty())
    write_bench_json(options.json, machine, figures, {});
  return exit_done;
}

int bench_models(const Options& options) {
  if (options.decode || !options.only.empty() || !options.trace.empty())
    throw InputError("got --arena with " +
                     std::string(options.decode          ? "--decode"
                                 : !options.only.empty() ? "--only"
                                                         : "--trace") +
                     ", expected one of the two");
  ArenaBench arena{.folder = options.input,
                   .overrides = options.overrides,
                   .batch = options.batch,
                   .quick = options.quick,
                   .json = options.json};
  if (!options.lengths.empty())
    arena.lengths = options.lengths;
  return bench_arena(arena);
}

int bench(const Options& options) {
  if (options.arena)
    return bench_models(options);
  if (options.input.empty() && !options.trace.empty())
    throw InputError("--trace is of the steps of an input file; got none, expected weft bench INPUT.toml --trace " +
                     options.trace);
  if (options.input.empty())
    return bench_kernels(options);
  if (options.isa != "best")
    throw InputError("--isa is of weft bench without an input file; set debug.isa=" + options.isa + " behind " +
                     options.input);
  if (options.decode || !options.only.empty())
    throw InputError("--decode and --only are of weft bench without an input file; leave out " +
                     (options.decode ? std::string("--decode") : std::string("--only")) + " or " + options.input);
  return run_job([&](const Ranks& ranks) {
    return bench_step(ranks, options.input, options.overrides, options.quick, options.json, options.trace);
  });
}

} // namespace

void add_bench(CLI::App& app, std::function<int()>& action) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("bench", "time kernels, or the training steps of an input file, against their "
                                                  "floors");
  command
      ->add_option(
          "input", options->input,
          "time whole training steps of this input file (TOML), or, with --arena, of all in this folder; needs no data")
      ->type_name(input_word);
  command->add_option("overrides", options->overrides, "section.key=value, after the file; the later one wins")
      ->type_name(override_word);
  command->add_flag("--quick", options->quick, "small sizes and few repeats: seconds, not minutes");
  command
      ->add_option("--only", options->only, "products, passes, attention or operations (of models); may be given again")
      ->check(CLI::IsMember({"products", "passes", "attention", "operations"}))
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command
      ->add_option(
          "--lengths", options->lengths,
          "N of the figures of attention and operations, or of --arena's, instead of 1024 to 65536, 4096 and 4096")
      ->check(CLI::Range(32, 1 << 20))
      ->delimiter(',');
  command
      ->add_option("--budget", options->budget,
                   "seconds that one of attention's figures may take; what takes longer is left out")
      ->check(CLI::Range(1e-3, 1e6))
      ->capture_default_str();
  add_output(*command, "--json", options->json, "write the figures to this file (postproc/plot_bench.py draws it)");
  add_output(*command, "--trace", options->trace,
             "write what happens when within a step, on every rank, to this file (with an input file; "
             "postproc/plot_trace.py and chrome://tracing draw it)");
  CLI::Option* arena = command->add_flag(
      "--arena", options->arena,
      "speed and memory of the models of a folder of input files, such as inputs/lra/text, at N = 1024 to 4096");
  command->add_option("--batch", options->batch, "sequences of a step (with --arena)")
      ->check(CLI::Range(1, 1 << 16))
      ->needs(arena);
  CLI::Option* decode =
      command->add_flag("--decode", options->decode, "time sampling byte by byte instead: dense, fixed, strided");
  command->add_option("--samples", options->samples, "samples side by side (with --decode)")->needs(decode);
  command->add_option("--width", options->width, "model.width, a multiple of 32 (with --decode)")->needs(decode);
  command->add_option("--precision", options->precision, "fp32, bf16 or fp16 (with --decode)")
      ->check(CLI::IsMember({"fp32", "bf16", "fp16"}))
      ->needs(decode);
  command->add_option("--isa", options->isa, "debug.isa of a run without an input file")
      ->check(CLI::IsMember({"best", "avx2", "avx512", "avx512_bf16"}));
  command->callback([options, &action] { action = [options] { return bench(*options); }; });
}

} // namespace weft
