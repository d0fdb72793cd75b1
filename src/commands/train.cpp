#include "commands/train.hpp"
#include "commands/bit_notes.hpp"
#include "commands/job.hpp"
#include "commands/provenance.hpp"
#include "config/parse.hpp"
#include "config/resolved.hpp"
#include "io/atomic_file.hpp"
#include "io/checkpoint_file.hpp"
#include "io/digest.hpp"
#include "io/folder_lock.hpp"
#include "kernels/common/memory.hpp"
#include "parallel/nccl.hpp"
#include "parallel/transport.hpp"
#include "tasks/resolve.hpp"
#include "training/idle_restarts.hpp"
#include "training/resources.hpp"
#include "training/signals.hpp"
#include "training/trainer.hpp"
#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <fmt/core.h>
#include <fstream>
#include <sstream>

namespace weft {

namespace {

struct Options {
  std::string input;
  std::vector<std::string> overrides;
  Dumps dumps;
};

struct Setting {
  std::string section, key, value;
};

/// The lines of a resolved input (to_toml), without what they say of their keys.
std::vector<Setting> settings_of(const std::string& resolved) {
  std::vector<Setting> all;
  std::istringstream text(resolved);
  std::string section;
  for (std::string line; std::getline(text, line);) {
    const std::size_t equals = line.find(" = ");
    if (!line.empty() && line.front() == '[')
      section = line.substr(1, line.find(']') - 1);
    else if (equals != std::string::npos) {
      const std::size_t end = line.find_last_not_of(' ', line.rfind(" # "));
      all.push_back({section, line.substr(0, equals), line.substr(equals + 3, end - equals - 2)});
    }
  }
  return all;
}

void print_settings(Console& console, const LoadedConfig& loaded, const Ranks& ranks,
                    const std::vector<RankDevice>& devices, const std::string& transport) {
  Table table("settings (those not at their default; all of them are in config.toml)");
  const std::vector<Setting> resolved = settings_of(to_toml(loaded.config)), defaults = settings_of(to_toml(Config{}));
  std::string section;
  for (std::size_t i = 0; i < resolved.size(); ++i) {
    const Setting& one = resolved[i];
    if (one.value == defaults[i].value)
      continue;
    if (one.section != std::exchange(section, one.section))
      table.heading("[" + section + "]");
    table.row(one.key, one.value);
  }
  table.heading("machine");
  table.row("ranks", std::to_string(ranks.size()));
  table.row("kernels", Runtime::description());
  for (const std::string& line : device_lines(devices))
    table.row("device", line);
  table.row("gradient sums", transport);
  console.table(table);
}

/// What carries the gradients of the ranks, agreed on by all of them.
std::unique_ptr<Carrier> make_carrier(const Config& config, const Ranks& ranks, const std::vector<RankDevice>& devices,
                                      std::string& description) {
  const std::vector<std::string> problems = ranks.gather(nccl_problem()), hosts = ranks.gather(Ranks::host());
  const auto sharing = static_cast<int>(ranks.maximum(ranks_sharing(devices, ranks.rank())));
  std::unique_ptr<Carrier> carrier;
  agree(ranks, [&] {
    const Transport transport =
        choose_transport(config.parallel.transport, problems, hosts, sharing > 1, !device_is_host);
    if (transport.nccl)
      carrier = nccl_carrier(ranks);
    if (carrier)
      description = carrier->name() + ", beside the kernels";
    else if (ranks.size() == 1)
      description = "one rank: nothing to send";
    else
      description = std::string(device_is_host ? "MPI" : "MPI, through host memory") +
                    (transport.why.empty() ? "" : "; not NCCL: " + transport.why);
  });
  return carrier;
}

/// Where the new input differs from the one the run was started with.
void note_changes(Console& console, const RunFolder& folder, const std::string& resolved) {
  if (!std::filesystem::exists(folder.config()))
    return;
  const std::vector<Setting> before = settings_of(read_file(folder.config()));
  for (const Setting& now : settings_of(resolved)) {
    const auto was = std::find_if(before.begin(), before.end(),
                                  [&](const Setting& old) { return old.section == now.section && old.key == now.key; });
    if (was != before.end() && was->value != now.value)
      console.line(fmt::format("note: changed since the last start: {}.{} = {}, was {}", now.section, now.key,
                               now.value, was->value));
  }
}

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
  double idle = 0;
  agree(ranks, [&] {
    if (ranks.root() && step < trainer.length().steps)
      idle = static_cast<double>(count_idle_restarts(folder.idle_restarts(), slurm_job(), step));
  });
  idle = ranks.maximum(idle);
  agree(ranks, [&] {
    if (idle > static_cast<double>(config.run.max_idle_restarts))
      throw Error(
          exit_failure,
          fmt::format("Slurm job {} was restarted {} times in a row at step {} without reaching a new checkpoint, "
                      "and run.max_idle_restarts = {}; {}/run.log and the job's output say how the starts "
                      "ended. A smaller checkpoint.every_steps or a longer time before the kill (sbatch "
                      "--signal=USR1@SECONDS) may help; submit the job again to go on",
                      slurm_job(), static_cast<std::int64_t>(idle), step, config.run.max_idle_restarts, folder.path));
  });
}

/// Trains, and enters in provenance.json how that ended.
ExitStatus run_and_record(Trainer& trainer, const Options& options, const RunFolder& folder, const Ranks& ranks) {
  const auto record = [&](int status, const std::string& why) {
    if (ranks.root())
      end_provenance(folder.provenance(), {trainer.state().step, status, why});
  };
  try {
    const ExitStatus status = trainer.run(options.dumps);
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

int train(const Options& options, const Ranks& ranks) {
  const std::string started = utc_now();
  Console console(ranks.root());
  LoadedConfig loaded;
  agree(ranks, [&] {
    loaded = load_config(options.input, options.overrides);
    resolve_from_data(loaded.config);
  });
  const Config& config = loaded.config;
  agree(ranks, [&] {
    require_build(config, !device_is_host);
    require_slots(config, ranks.size());
    if (!options.dumps.batches.empty() && ranks.size() > 1)
      throw InputError(fmt::format("--dump-batches: got {} ranks, expected one, which sees all batches", ranks.size()));
  });
  const StartedRuntime started_runtime = start_runtime(ranks, config.parallel.share_device, config.debug.isa);
  const std::vector<RankDevice>& taken = started_runtime.devices;
  std::string transport;
  std::unique_ptr<Carrier> carrier = make_carrier(config, ranks, taken, transport);
  std::unique_ptr<Model> model;
  std::unique_ptr<Trainer> trainer;
  const RunFolder folder(config);
  std::unique_ptr<FolderLock> lock; // rank 0's, until the end
  StartingPoint start;
  double rate = 0;
  MemoryPlan memory{};
  Splits splits;
  agree(ranks, [&] {
    model = make_model(config);
    rate = measure_matrix_rate(config);
    memory = plan_memory(config, *model, ranks.size());
    if (!device_is_host)
      require_device_memory(memory, config, Runtime::device().free, ranks_sharing(taken, ranks.rank()));
    splits = open_splits(config); // known before the work, not after it
    run_length(config, *splits.train);
  });
  // Only now is anything written: the input is right and the data is there.
  std::string failure;
  int failure_status = 0;
  if (ranks.root()) {
    try {
      lock = std::make_unique<FolderLock>(folder.path);
      start = find_start(config);
      if (config.run.fresh) { // the old folder may have been moved, and its lock with it
        lock.reset();
        lock = std::make_unique<FolderLock>(folder.path);
      }
      Watchdog::forget_heartbeats(folder.heartbeats());
    } catch (const Error& error) {
      failure = error.what();
      failure_status = error.status;
    } catch (const std::exception& error) {
      failure = error.what();
      failure_status = exit_failure;
    }
  }
  failure_status = ranks.maximum(failure_status);
  ranks.broadcast(failure);
  ranks.broadcast(start.checkpoint);
  agree(ranks, [&] {
    if (failure_status != 0)
      throw Error(static_cast<ExitStatus>(failure_status), failure);
    model->allocate();
    trainer = std::make_unique<Trainer>(config, ranks, console, *model, splits, rate,
                                        expected_step_seconds(config, *model, ranks.size(), rate), std::move(carrier));
  });
  if (ranks.root())
    console.log_to(folder.log());
  const std::string resolved = to_toml(config);
  const std::vector<std::string> hosts = ranks.gather(Ranks::host());
  const std::vector<std::string> devices = ranks.gather(Runtime::description());
  agree(ranks, [&] { trainer->start_from(start.checkpoint); });
  refuse_idle_restarts(config, ranks, folder, *trainer);
  if (ranks.root()) {
    print_settings(console, loaded, ranks, taken, transport);
    print_resources(console, config, *model, memory, ranks.size(), rate);
    if (!lock->held())
      console.line("note: the file system of " + folder.path +
                   " knows no locks: nothing keeps a second run out of this folder");
    for (const std::string& note : start.notes)
      console.line("note: " + note);
    for (const std::string& note : bit_notes(devices, kernels_of(start.checkpoint)))
      console.line("note: " + note);
    if (!start.checkpoint.empty()) {
      note_changes(console, folder, resolved);
      console.line(fmt::format("continuing from {} (step {})", start.checkpoint, trainer->state().step));
    }
    console.line(fmt::format("{} steps, {} per epoch; run folder {}", trainer->length().steps,
                             trainer->length().steps_per_epoch, folder.path));
    Start record;
    if (!std::filesystem::exists(folder.config()) || read_file(folder.config()) != resolved)
      record.config = resolved;
    if (const std::int64_t step = trainer->state().step;
        step >= trainer->length().steps && !record.config.empty() && std::filesystem::exists(folder.config()))
      console.line(fmt::format("note: nothing is trained: the run is at step {} of {}; config.toml keeps the settings "
                               "that it was trained with",
                               step, trainer->length().steps));
    else
      replace_file(folder.config(), resolved);
    record.started = started;
    record.command = {"weft", "train", options.input};
    record.command.insert(record.command.end(), options.overrides.begin(), options.overrides.end());
    record.hosts = hosts;
    record.ranks = ranks.size();
    record.threads = Runtime::threads();
    record.devices = devices;
    record.seed = config.run.seed;
    record.config_sha256 = sha256(resolved.data(), resolved.size());
    record.data_path = config.data.path;
    record.data_sha256 = splits.train->source_digest();
    record.resumed_from_step = start.checkpoint.empty() ? -1 : trainer->state().step;
    record.checkpoint = start.checkpoint;
    record.why = why_started(folder.provenance());
    append_provenance(folder.provenance(), record);
    trainer->describe(checkpoint_attributes(record));
  }
  const ExitStatus status = run_and_record(*trainer, options, folder, ranks);
  if (ranks.size() > 1) {
    const GradientSum::Overlap overlap = trainer->overlap();
    console.line(fmt::format("gradient sums: {:.0f} % of the bytes sent while the backward pass ran, waited {} in all",
                             100 * overlap.early_share, human_seconds(overlap.waited_seconds)));
  }
  console.line(trainer->checkpoint_cost());
  const double peak = ranks.maximum(static_cast<double>(peak_bytes()));
  console.line(fmt::format("peak memory {} per rank, predicted {}", human_bytes(peak),
                           human_bytes(static_cast<double>(memory.total()))));
  return status;
}

} // namespace

void add_train(CLI::App& app, std::function<int()>& action) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("train", "train the model of an input file; continues a stopped run");
  command->add_option("input", options->input, "the input file (TOML)")->required();
  command->add_option("overrides", options->overrides, "section.key=value, after the file; the later one wins");
  command->add_option("--dump-batches", options->dumps.batches,
                      "write the tokens of every step to this HDF5 file (one rank)");
  command->add_option("--dump-gradients", options->dumps.gradients,
                      "write the first step's gradients to this HDF5 file");
  command->add_option("--dump-losses", options->dumps.losses,
                      "write number and loss of every step to this text file at the end");
  command->callback([options, &action] {
    action = [options] {
      const StopSignals signals; // before MPI starts threads
      return run_job([&](const Ranks& ranks) { return train(*options, ranks); });
    };
  });
}

} // namespace weft
