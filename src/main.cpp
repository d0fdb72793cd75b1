// The command line, nothing else.
#include "commands/bench.hpp"
#include "commands/check.hpp"
#include "commands/eval.hpp"
#include "commands/generate.hpp"
#include "commands/help.hpp"
#include "commands/inspect.hpp"
#include "commands/metrics.hpp"
#include "commands/pattern.hpp"
#include "commands/prepare.hpp"
#include "commands/runs.hpp"
#include "commands/sample.hpp"
#include "commands/train.hpp"
#include "config/keys.hpp"
#include "config/parse.hpp"
#include "config/version.hpp"
#include "io/error.hpp"
#include "parallel/waiting.hpp"
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

namespace {

/// Number and count of ranks as the launcher tells them, so that errors before and after MPI know them, too.
struct Place {
  int rank = 0, ranks = 1;
};

Place place() {
  const auto number = [](std::initializer_list<const char*> names, int otherwise) {
    for (const char* name : names)
      if (const char* text = std::getenv(name))
        return std::atoi(text);
    return otherwise;
  };
  return {number({"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "SLURM_PROCID"}, 0),
          number({"OMPI_COMM_WORLD_SIZE", "SLURM_NTASKS"}, 1)};
}

/// `common`: every rank meets the same error, so that one of them is enough to tell it.
void tell(const std::string& text, bool common) {
  const Place here = place();
  if (common) {
    if (here.rank == 0)
      fmt::print(stderr, "weft: error: {}\n", text);
    return;
  }
  char host[256] = "unknown host";
  gethostname(host, sizeof host - 1);
  const std::string who = here.ranks > 1 || here.rank > 0 ? fmt::format(" on rank {} ({})", here.rank, host) : "";
  fmt::print(stderr, "weft: error{}: {}\n", who, text);
}

/// What CLI11 says, with the nearest subcommand or option.
std::string explained(const CLI::App& app, const CLI::ParseError& error, int argc, char** argv) {
  std::vector<std::string> commands;
  for (const CLI::App* command : app.get_subcommands({}))
    commands.push_back(command->get_name());
  const std::string all = weft::joined(commands, ", ");
  if (argc < 2)
    return "got no subcommand, expected one of " + all + "; weft --help tells more";
  const std::string first = argv[1];
  const CLI::App* command = nullptr;
  for (const CLI::App* one : app.get_subcommands({}))
    if (one->get_name() == first)
      command = one;
  if (command == nullptr && first.rfind('-', 0) != 0) {
    const std::string near = weft::nearest(first, commands);
    return fmt::format("got \"{}\", expected one of {}{}", first, all,
                       near.empty() ? "; weft --help tells more" : "; did you mean weft " + near + "?");
  }
  std::vector<std::string> options;
  for (const CLI::Option* option : (command != nullptr ? command : &app)->get_options())
    for (const std::string& name : option->get_lnames())
      options.push_back("--" + name);
  if (command == nullptr) {
    const std::string near = weft::nearest(first, options);
    return fmt::format("got \"{}\", expected one of {}, --help, --version{}", first, all,
                       near.empty() ? "" : "; did you mean " + near + "?");
  }
  if (std::vector<std::string> kinds; !command->get_subcommands({}).empty()) {
    for (const CLI::App* kind : command->get_subcommands({}))
      kinds.push_back(kind->get_name());
    const std::string got = argc > 2 ? argv[2] : "";
    if (std::find(kinds.begin(), kinds.end(), got) == kinds.end() && got.rfind('-', 0) != 0) {
      const std::string near = weft::nearest(got, kinds);
      return fmt::format("weft {}: got {}, expected one of {}{}", first, got.empty() ? "nothing" : "\"" + got + "\"",
                         weft::joined(kinds, ", "), near.empty() ? "" : "; did you mean " + near + "?");
    }
  }
  std::string hint;
  if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr)
    for (const std::string& extra : app.remaining(true))
      if (const std::string near = weft::nearest(extra.substr(0, extra.find('=')), options); !near.empty())
        hint += "; did you mean " + near + "?";
  return fmt::format("weft {}: {}{}", first, error.what(),
                     hint.empty() ? "; weft " + first + " --help tells more" : hint);
}

} // namespace

int main(int argc, char** argv) {
  weft::choose_waiting(); // first: it may start the program again
  // A data file must not take the place of a closed standard output.
  while (true)
    if (const int lowest = open("/dev/null", O_RDWR); lowest > STDERR_FILENO || lowest < 0) {
      close(lowest);
      break;
    }
  std::function<int()> action;
  CLI::App app{
      "Weft trains and evaluates long-sequence models.\n"
      "Exit status: 0 done; 2 wrong input, nothing started; 3 the numbers went bad; 4 a data or checkpoint file\n"
      "is damaged or missing; 75 stopped on request after a checkpoint, requeue me; 1 anything else.",
      "weft"};
  app.require_subcommand(1);
  app.set_version_flag("--version", fmt::format("{}\nwaiting   {}", weft::version_text(), weft::waiting_text()),
                       "Version, commit, build options, libraries, and how threads wait");
  for (const auto add :
       {weft::add_train, weft::add_eval, weft::add_sample, weft::add_prepare, weft::add_generate, weft::add_check,
        weft::add_pattern, weft::add_inspect, weft::add_runs, weft::add_metrics, weft::add_bench, weft::add_help})
    add(app, action);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) { // --help, --version
      if (place().rank == 0)
        app.exit(error);
      return weft::exit_done;
    }
    tell(explained(app, error, argc, argv), true);
    return weft::exit_input;
  }
  try {
    const int status = action();
    const std::string command = app.get_subcommands().front()->get_name();
    // What a training run prints is in its run.log too; of every other command it may be all there is.
    if (status == weft::exit_done && command != "train" && (std::fflush(stdout) != 0 || std::ferror(stdout) != 0))
      throw weft::Error(weft::exit_failure,
                        "weft " + command + " could not write all of its output (is the disk full?)");
    return status;
  } catch (const weft::InputError& error) {
    tell(error.what(), true);
    return error.status;
  } catch (const weft::MissingDataError& error) {
    tell(error.what(), true);
    return error.status;
  } catch (const weft::Error& error) {
    tell(error.what(), false);
    return error.status;
  } catch (const std::exception& error) {
    tell(error.what(), false);
    return weft::exit_failure;
  }
}
