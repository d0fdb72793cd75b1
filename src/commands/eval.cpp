#include "commands/eval.hpp"
#include "commands/class_tables.hpp"
#include "commands/evaluation_config.hpp"
#include "commands/evaluation_record.hpp"
#include "commands/find_checkpoint.hpp"
#include "commands/job.hpp"
#include "commands/provenance.hpp"
#include "commands/shared_options.hpp"
#include "config/keys.hpp"
#include "config/parse.hpp"
#include "config/resolved.hpp"
#include "io/atomic_file.hpp"
#include "io/checkpoint_file.hpp"
#include "io/console.hpp"
#include "io/shards.hpp"
#include "kernels/common/memory.hpp"
#include "tasks/collect.hpp"
#include "tasks/task.hpp"
#include "training/evaluation.hpp"
#include "training/run_folder.hpp"
#include "training/state.hpp"
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <fmt/core.h>

namespace weft {

namespace {

struct Options {
  std::string what, split, json, by_position, by_length, logits;
  std::vector<std::string> overrides;
  bool best = false;
};

/// For a peer program: the logits of the first micro-batch of the split, as datasets "tokens" (B,N) and "logits"
/// (B,N,V); windows lie side by side, whatever evaluation.minimum_context. Of classes "logits" is (B, classes), of
/// pairs "tokens" (2B,N).
void dump_logits(const std::string& path, Model& model, const std::string& split, Config config, std::int64_t step) {
  config.evaluation.minimum_context = 0;
  const std::unique_ptr<Task> task = open_task(config, split);
  const TaskShape shape = task->shape();
  const std::int64_t B = config.training.micro_batch, S = B * shape.sequences, N = shape.tokens;
  Collector collector(*task, B, false);
  const Batch batch = drawn_as_trained(collector.evaluation(0), config, step);
  Scores scores;
  model.forward(batch, scores);
  std::vector<std::int64_t> extents{B, N, config.model.vocabulary};
  if (!shape.predicts_tokens())
    extents = {B, shape.classes};
  std::int64_t count = 1;
  for (const std::int64_t extent : extents)
    count *= extent;
  std::vector<float> logits(static_cast<std::size_t>(count)), as_float(batch.tokens, batch.tokens + S * N);
  model.copy_logits(logits.data());
  write_checkpoint(path, {}, {{"tokens", {S, N}, as_float.data()}, {"logits", extents, logits.data()}});
}

/// The files asked for, and the record in the run folder, which may be somebody else's.
void leave_records(const Options& options, const EvaluationRecord& record, const Config& trained, const Config& used,
                   const Evaluation& result, Console& console) {
  const std::string json = record_json(record, trained, used, result);
  if (!options.json.empty())
    replace_file(options.json, json);
  if (!options.by_position.empty())
    replace_file(options.by_position, by_position_csv(result));
  if (!options.by_length.empty())
    replace_file(options.by_length, by_length_csv(result));
  if (!std::filesystem::is_directory(options.what))
    return;
  try {
    replace_file(RunFolder(options.what).evaluations() + "/" + record_name(record, trained, used), json);
  } catch (const Error& error) {
    console.line(std::string("note: the tables will not find this result: ") + error.what());
  }
}

/// What only the one or the other kind of task has.
void require_task(const Options& options, const Task& task) {
  const bool tokens = task.shape().predicts_tokens();
  if (!tokens && !options.by_position.empty())
    throw InputError("--by-position: the model predicts classes, expected one of tokens; --by-length FILE tells "
                     "accuracy by the length of the examples");
  if (tokens && !options.by_length.empty())
    throw InputError(
        "--by-length: the model predicts tokens, expected one of classes; --by-position FILE tells bits by "
        "the number of tokens before the scored one");
}

/// Where evaluation.max_windows cut the split short, which may come from the training's input: how far it went.
std::string part_of_split(const Task& task, std::int64_t most) {
  if (most <= 0 || most >= task.rows())
    return "";
  return fmt::format(", the first {} of {} {} only (evaluation.max_windows)", exact_count(most),
                     exact_count(task.rows()), task.shape().predicts_tokens() ? "windows" : "examples");
}

/// The figures, for a person.
void print_result(Console& console, const Evaluation& result, const Options& options, const std::string& what,
                  std::int64_t minimum_context) {
  if (!options.by_position.empty())
    console.line(by_position_table(result));
  if (!options.by_length.empty())
    console.line(by_length_table(result));
  if (result.classes > 0) {
    console.line(class_table(result));
    console.line(fmt::format("{}: accuracy {:.2f} %, {:.4f} nats per example, {} examples", what, 100 * result.accuracy,
                             result.loss, exact_count(result.scored)));
    return;
  }
  console.line(fmt::format("{}{}: {:.4f} bits per token, {:.4f} nats, accuracy {:.2f} %, {} tokens", what,
                           minimum_context > 0 ? fmt::format(", minimum context {}", minimum_context) : "",
                           result.bits(), result.loss, 100 * result.accuracy, exact_count(result.scored)));
}

int eval(const Options& options, const Ranks& ranks) {
  Console console(ranks.root(), talk({options.json, options.by_position, options.by_length}));
  std::string path, split, trained_data;
  LoadedConfig loaded;
  Config trained;
  std::int64_t step = 0;
  agree(ranks, [&] {
    path = find_checkpoint(options.what, options.best);
    const CheckpointFile file(path);
    step = file.integer("step");
    if (file.attributes().count("data_sha256") > 0)
      trained_data = file.text("data_sha256");
    trained = from_toml_text(file.text("config"), path);
    loaded = evaluation_config(file.text("config"), path, options.overrides);
    split = options.split.empty() ? loaded.config.evaluation.split : options.split;
    require_split(loaded.config.data.path, split);
  });
  const Config& config = loaded.config;
  const StartedRuntime runtime = start_runtime(ranks, config.parallel.share_device, config.debug.isa);
  std::unique_ptr<Model> model;
  Buffer<float> weights;
  std::unique_ptr<Task> task;
  agree(ranks, [&] {
    model = make_model(config);
    weights = Buffer<float>(model->parameters().extent(), "weights");
    load_weights(path, weights, model->parameters(), config);
    task = open_task(config, split);
    task->require_known(config.model.vocabulary);
    require_task(options, *task);
    model->allocate();
    model->use_weights(weights.data());
  });
  if (!options.logits.empty() && ranks.root())
    dump_logits(options.logits, *model, split, config, step);
  const EvaluationRecord record{path, split, utc_now(), step, options.best, task->source_digest(), trained_data};
  for (const std::string& difference : attention_differences(trained, config))
    console.line("note: " + difference);
  for (const std::string& difference : other_differences(record, trained, config))
    console.line("note: " + difference);
  const auto begin = std::chrono::steady_clock::now();
  const Evaluation result = evaluate(*model, *task, config, ranks, step, [&](double done) {
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    console.progress(
        fmt::format("evaluating: {:.0f} %, {} left", 100 * done, human_seconds(took.count() * (1 - done) / done)));
  });
  print_result(console, result, options,
               fmt::format("{} (step {}), {} split of {}{}", path, step, split, config.data.path,
                           part_of_split(*task, config.evaluation.max_windows)),
               config.evaluation.minimum_context);
  if (!std::isfinite(result.loss))
    throw NumbersError(
        fmt::format("the loss of {} on the {} split is {}, which is no result: nothing was recorded; weft "
                    "inspect {} tells whether its weights are finite",
                    path, split, result.loss, path));
  if (ranks.root())
    leave_records(options, record, trained, config, result, console);
  return exit_done;
}

} // namespace

void add_eval(CLI::App& app, std::function<int()>& action) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("eval", "loss, and bits per token or accuracy, of a run or a checkpoint on a split");
  add_run_options(*command, options->what, options->overrides);
  command->add_option("--split", options->split, "train, valid or test; else evaluation.split")
      ->check(CLI::IsMember({"train", "valid", "test"}));
  command->add_flag("--best", options->best, "the checkpoint that was best on validation, not the newest");
  add_output_or_stdout(*command, "--json", options->json, "write the result to this file too");
  add_output_or_stdout(*command, "--by-position", options->by_position,
                       "write bits by the number of tokens before the scored one to this CSV file, and print a table");
  add_output_or_stdout(*command, "--by-length", options->by_length,
                       "write accuracy by the true length of the examples to this CSV file, and print a table");
  add_output(*command, "--logits", options->logits,
             "write tokens and logits of the first micro-batch to this HDF5 file");
  command->callback([options, &action] {
    action = [options] { return run_job([&](const Ranks& ranks) { return eval(*options, ranks); }); };
  });
}

} // namespace weft
