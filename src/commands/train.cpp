#include "commands/train.hpp"
#include "commands/bit_notes.hpp"
#include "commands/carrier.hpp"
#include "commands/find_checkpoint.hpp"
#include "commands/job.hpp"
#include "commands/provenance.hpp"
#include "commands/settings.hpp"
#include "commands/shared_options.hpp"
#include "config/keys.hpp"
#include "config/parse.hpp"
#include "config/readers.hpp"
#include "config/resolved.hpp"
#include "io/atomic_file.hpp"
#include "io/checkpoint_file.hpp"
#include "io/digest.hpp"
#include "io/folder_lock.hpp"
#include "kernels/common/memory.hpp"
#include "tasks/resolve.hpp"
#include "tasks/task.hpp"
#include "training/idle_restarts.hpp"
#include "training/resources.hpp"
#include "training/signals.hpp"
#include "training/trainer.hpp"
#include <CLI/CLI.hpp>
#include <cstdlib>
#include <filesystem>
#include <fmt/core.h>

namespace weft {

namespace {

struct Options {
  std::string input;
  std::vector<std::string> overrides;
  Dumps dumps;
  bool verbose = false;
};

/// The kernels that a checkpoint was computed with; empty where it does not say.
std::string kernels_of(const std::string& checkpoint) {
  if (checkpoint.empty())
    return "";
  const CheckpointFile file(checkpoint);
  const auto found = file.attributes().find("devices");
  const auto* const text = found == file.attributes().end() ? nullptr : std::get_if<std::string>(&found->second);
  return text ? *text : "";
}

/// Ends a job that its scheduler would start for ever: on every rank alike, with status 1, which is not requeued.
void refuse_idle_restarts(const Config& config, const Ranks& ranks, const RunFolder& folder, const Trainer& trainer) {
  const std::int64_t step = trainer.state().step;
  agree_on_root(ranks, [&] {
    const std::int64_t idle =
        step < trainer.length().steps ? count_idle_restarts(folder.idle_restarts(), slurm_job(), step) : 0;
    if (idle > config.run.max_idle_restarts)
      throw Error(
          exit_failure,
          fmt::format("Slurm job {} was restarted {} times in a row at step {} without reaching a new checkpoint, "
                      "and run.max_idle_restarts = {}; {}/run.log and the job's output say how the starts "
                      "ended. A smaller checkpoint.every_steps or a longer time before the kill (sbatch "
                      "--signal=USR1@SECONDS) may help; submit the job again to go on",
                      slurm_job(), idle, step, config.run.max_idle_restarts, folder.path));
    return std::string();
  });
}

/// Trains, and enters in provenance.json how that ended.
ExitStatus run_and_record(Trainer& trainer, const Dumps& dumps, const RunFolder& folder, const Ranks& ranks) {
  const auto record = [&](int status, const std::string& why) {
    if (ranks.root())
      end_provenance(folder.provenance(), {trainer.state().step, status, why});
  };
  try {
    const ExitStatus status = trainer.run(dumps);
    record(status, trainer.end_reason());
    return status;
  } catch (const Error& error) {
    try {
      record(error.status, error.what());
    } catch (const Error&) { // the disk may be full: the first error is the one to tell
    }
    throw;
  }
}

/// What a start is made of, in the order in which it comes to be; freed in the opposite one.
struct Run {
  std::string began = utc_now();
  LoadedConfig loaded;
  StartedRuntime runtime;
  std::string transport; ///< of the gradients, in words
  std::unique_ptr<Carrier> carrier;
  Splits splits;
  std::unique_ptr<Model> model;
  MatrixRate matrix_rate{};
  MemoryPlan memory{};
  WarmStart warm;                          ///< of new weights
  std::unique_ptr<FolderLock> lock;        ///< rank 0's
  StartingPoint start;                     ///< the notes: rank 0's
  std::vector<std::string> hosts, kernels; ///< of all ranks
  std::unique_ptr<Trainer> trainer;
  const Config& config() const { return loaded.config; }
};

/// The input, this rank's device, the data and a model without memory. Nothing is written, and what can be wrong with
/// the input is found here.
void prepare(Run& run, const Options& options, const Ranks& ranks) {
  agree(ranks, [&] {
    run.loaded = load_config(options.input, options.overrides);
    resolve_from_data(run.loaded.config);
  });
  const Config& config = run.config();
  agree(ranks, [&] {
    require_build(config, !device_is_host);
    require_slots(config, ranks.size());
    if (!options.dumps.batches.empty() && ranks.size() > 1)
      throw InputError(fmt::format("--dump-batches: got {} ranks, expected one, which sees all batches", ranks.size()));
  });
  run.runtime = start_runtime(ranks, config.parallel.share_device, config.debug.isa);
  run.carrier = make_carrier(config, ranks, run.runtime.devices, run.transport);
  agree(ranks, [&] {
    run.model = make_model(config);
    run.matrix_rate = measure_matrix_rate(config);
    run.memory = plan_memory(config, *run.model, ranks.size());
    if (!device_is_host)
      require_device_memory(run.memory, config, Runtime::device().free,
                            ranks_sharing(run.runtime.devices, ranks.rank()));
    run.splits = open_splits(config); // known before the work, not after it
    run_length(config, *run.splits.train);
  });
  const std::string initial = agree_on_root(ranks, [&] { return find_initial_weights(config); });
  agree(ranks, [&] {
    if (!initial.empty())
      run.warm = plan_warm_start(initial, run.model->parameters(), config);
  });
}

/// Takes the run folder for this start and finds what to start from.
void open_run(Run& run, const RunFolder& folder, const Ranks& ranks) {
  run.start.checkpoint = agree_on_root(ranks, [&] {
    run.lock = std::make_unique<FolderLock>(folder.path);
    run.start = find_start(run.config());
    if (run.config().run.fresh) { // the old folder may have been moved, and its lock with it
      run.lock.reset();
      run.lock = std::make_unique<FolderLock>(folder.path);
    }
    Watchdog::forget_heartbeats(folder.heartbeats());
    return run.start.checkpoint;
  });
}

/// Memory, and the state of the run.
void make_trainer(Run& run, const RunFolder& folder, const Ranks& ranks, Console& console) {
  const Config& config = run.config();
  agree(ranks, [&] {
    run.model->allocate();
    run.trainer = std::make_unique<Trainer>(
        config, ranks, console, *run.model, run.splits, run.matrix_rate.best,
        expected_step_seconds(config, *run.model, ranks.size(), run.matrix_rate.best), std::move(run.carrier));
  });
  if (ranks.root())
    console.log_to(folder.log());
  run.hosts = ranks.gather(Ranks::host());
  run.kernels = ranks.gather(Runtime::description());
  agree(ranks, [&] {
    require_same_run(run.start.checkpoint, config, run.splits.train->source_digest());
    run.trainer->start_from(run.start.checkpoint, run.warm);
  });
}

/// Settings, resources and all that a person should know of this start.
void announce(const Run& run, const RunFolder& folder, const Ranks& ranks, Console& console) {
  const Config& config = run.config();
  const std::int64_t steps = run.trainer->length().steps;
  console.detail(settings_text(config, ranks, run.runtime.devices, run.transport));
  console.detail(
      resources_text(config, *run.model, run.memory,
                     {run.matrix_rate, expected_step_seconds(config, *run.model, ranks.size(), run.matrix_rate.best),
                      false, config.training.batch * run.splits.train->shape().row_tokens(), steps}));
  const std::string pattern = is_read(config, "attention.pattern") ? ", " + config.attention.pattern : "";
  console.line(fmt::format("{}{}, {} parameters, on {} x {}, {} each; settings and work are in {}", config.model.family,
                           pattern, exact_count(run.model->parameters().count()), ranks.size(), Runtime::description(),
                           human_bytes(static_cast<double>(run.memory.total())), folder.log()));
  for (const std::string& note : {memory_note(run.memory), threads_note()})
    if (!note.empty())
      console.line("note: " + note);
  if (!run.lock->held())
    console.line("note: the file system of " + folder.path +
                 " knows no locks: nothing keeps a second run out of this folder");
  for (const std::string& note : run.start.notes)
    console.line("note: " + note);
  for (const std::string& note : bit_notes(run.kernels, kernels_of(run.start.checkpoint)))
    console.line("note: " + note);
  if (run.start.checkpoint.empty() && !run.warm.checkpoint.empty()) {
    console.line(run.warm.text());
    console.detail("  loaded: " + joined(run.warm.loaded, ", "));
    for (const std::string& difference : run.warm.differences)
      console.line("note: the weights come from another model: " + difference);
  }
  if (!run.start.checkpoint.empty()) {
    note_changes(console, folder, to_toml(config));
    console.line(fmt::format("continuing from {} (step {})", run.start.checkpoint, run.trainer->state().step));
  }
  if (std::getenv("SLURM_JOB_ID") == nullptr)
    console.line(fmt::format("to stop with a checkpoint: touch {}/STOP, {}", folder.path,
                             std::getenv("OMPI_COMM_WORLD_SIZE") != nullptr
                                 ? "or SIGUSR1 to mpirun (Ctrl-C there kills the ranks within seconds, and what is "
                                   "behind the last checkpoint is lost)"
                                 : "or Ctrl-C"));
  if (run.trainer->state().step >= steps)
    console.line(
        fmt::format("this run is finished: step {} of {}; raise training.steps or training.epochs to go on, or "
                    "set run.fresh=true to start over",
                    run.trainer->state().step, steps));
  console.line(
      fmt::format("{} steps, {} per epoch; run folder {}", steps, run.trainer->length().steps_per_epoch, folder.path));
}

/// config.toml and provenance.json, and what the checkpoints are to say of this start.
void record_start(const Run& run, const Options& options, const RunFolder& folder, const Ranks& ranks,
                  Console& console) {
  const Config& config = run.config();
  const std::string resolved = to_toml(config);
  const std::int64_t step = run.trainer->state().step, steps = run.trainer->length().steps;
  const bool resumed = !run.start.checkpoint.empty();
  Start record;
  const std::string before = std::filesystem::exists(folder.config()) ? read_file(folder.config()) : "";
  if (before.empty() || !std::filesystem::exists(folder.provenance()))
    record.config = setting_lines(resolved);
  else if (before != resolved)
    record.changes = setting_changes(before, resolved);
  if (step >= steps && !before.empty() && before != resolved)
    console.line(fmt::format("note: nothing is trained: the run is at step {} of {}; config.toml keeps the settings "
                             "that it was trained with",
                             step, steps));
  else
    replace_file(folder.config(), resolved);
  record.started = run.began;
  record.command = {"weft", "train", options.input};
  record.command.insert(record.command.end(), options.overrides.begin(), options.overrides.end());
  record.hosts = run.hosts;
  record.ranks = ranks.size();
  record.threads = Runtime::threads();
  record.devices = run.kernels;
  record.seed = config.run.seed;
  record.config_sha256 = sha256(resolved.data(), resolved.size());
  record.data_path = config.data.path;
  record.data_sha256 = run.splits.train->source_digest();
  record.resumed_from_step = resumed ? step : -1;
  record.checkpoint = run.start.checkpoint;
  if (!resumed && !run.warm.checkpoint.empty())
    record.initial = {run.warm.checkpoint, run.warm.parts, run.warm.step};
  record.why = why_started(folder.provenance());
  append_provenance(folder.provenance(), record);
  run.trainer->describe(checkpoint_attributes(record));
}

void closing_report(const Run& run, const Ranks& ranks, Console& console) {
  if (ranks.size() > 1) {
    const GradientSum::Overlap overlap = run.trainer->overlap();
    console.line(fmt::format("gradient sums: {:.0f} % of the bytes sent while the backward pass ran, waited {} in all",
                             100 * overlap.early_share, human_seconds(overlap.waited_seconds)));
  }
  console.line(run.trainer->checkpoint_cost());
  const double peak = ranks.maximum(static_cast<double>(peak_bytes()));
  console.line(fmt::format("peak memory {} per rank, predicted {}", human_bytes(peak),
                           human_bytes(static_cast<double>(run.memory.total()))));
}

int train(const Options& options, const Ranks& ranks) {
  Console console(ranks.root());
  if (options.verbose)
    console.show_details();
  Run run;
  prepare(run, options, ranks);
  const RunFolder folder(run.config());
  open_run(run, folder, ranks); // only now is anything written: the input is right and the data is there
  make_trainer(run, folder, ranks, console);
  refuse_idle_restarts(run.config(), ranks, folder, *run.trainer);
  if (ranks.root()) {
    announce(run, folder, ranks, console);
    record_start(run, options, folder, ranks, console);
  }
  const ExitStatus status = run_and_record(*run.trainer, options.dumps, folder, ranks);
  closing_report(run, ranks, console);
  return status;
}

} // namespace

void add_train(CLI::App& app, std::function<int()>& action) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("train", "train the model of an input file; continues a stopped run");
  add_input_options(*command, options->input, options->overrides);
  command->add_flag("-v,--verbose", options->verbose,
                    "print the settings, the memory and the work as well, which run.log has anyway");
  add_output(*command, "--dump-batches", options->dumps.batches,
             "write the tokens of every step to this HDF5 file (one rank)");
  add_output(*command, "--dump-gradients", options->dumps.gradients,
             "write the first step's gradients to this HDF5 file");
  add_output(*command, "--dump-losses", options->dumps.losses,
             "write number and loss of every step to this text file at the end");
  command->callback([options, &action] {
    action = [options] {
      const StopSignals signals; // before MPI starts threads
      return run_job([&](const Ranks& ranks) { return train(*options, ranks); });
    };
  });
}

} // namespace weft
