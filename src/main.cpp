// The command line, nothing else.
#include "commands/command_line.hpp"
#include "config/parse.hpp"
#include "io/console.hpp"
#include "io/error.hpp"
#include "parallel/waiting.hpp"
#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <fmt/format.h>
#include <iostream>
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
      weft::print_error("", text);
    return;
  }
  char host[256] = "unknown host";
  gethostname(host, sizeof host - 1);
  const std::string who = here.ranks > 1 || here.rank > 0 ? fmt::format(" on rank {} ({})", here.rank, host) : "";
  weft::print_error(who, text);
}

/// Whether everything printed so far arrived.
bool written() {
  std::cout.flush();
  return std::cout.good() && std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
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
  CLI::App app{std::string("Weft trains and evaluates long-sequence models.\n") + weft::exit_status_text, "weft"};
  app.require_subcommand(1);
  app.set_version_flag("-V,--version", weft::full_version_text(),
                       "Version, commit, build options, libraries, and how threads wait");
  weft::add_commands(app, action);
  if (argc < 2) { // nothing asked for: what there is to ask
    if (place().rank == 0)
      fmt::print(stderr, "{}", app.help());
    return weft::exit_input;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) { // --help, --version
      if (place().rank == 0)
        app.exit(error);
      if (written())
        return weft::exit_done;
      tell("could not write all of the output (is the disk full?)", true);
      return weft::exit_failure;
    }
    tell(weft::explained(app, error, argc, argv), true);
    return weft::exit_input;
  }
  try {
    const int status = action();
    const std::string command = app.get_subcommands().front()->get_name();
    // What a training run prints is in its run.log too; of every other command it may be all there is.
    if (status == weft::exit_done && command != "train" && !written())
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
