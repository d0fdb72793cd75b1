#include "commands/job.hpp"
#include "io/console.hpp"
#include "kernels/common/isa.hpp"
#include <fmt/format.h>
#include <stdexcept>

namespace weft {

namespace {
/// An error that all ranks have agreed on.
struct CommonError : Error {
  using Error::Error;
};

[[noreturn]] void end_alone(const Ranks& ranks, int status, const char* text) {
  if (ranks.size() == 1)
    throw Error(static_cast<ExitStatus>(status), text);
  print_error(fmt::format(" on rank {} ({})", ranks.rank(), Ranks::host()), text);
  std::fflush(nullptr);
  Ranks::abort(status);
}

/// How a part of a job ended: with 0, or with what it threw.
struct Outcome {
  int status = 0;
  std::string text = {};
};
Outcome outcome_of(const std::function<void()>& part) {
  try {
    part();
    return {};
  } catch (const Error& error) {
    return {error.status, error.what()};
  } catch (const std::exception& error) {
    return {exit_failure, error.what()};
  }
}
} // namespace

void agree(const Ranks& ranks, const std::function<void()>& part) {
  auto [status, text] = outcome_of(part);
  const std::vector<double> all = ranks.gather(std::vector<double>{static_cast<double>(status)});
  int failed = 0;
  for (double s : all)
    failed += s != 0;
  if (failed == 0)
    return;
  if (failed < ranks.size()) {
    if (status != 0)
      end_alone(ranks, status, text.c_str());
    ranks.barrier(); // until the failing rank ends the job
  }
  ranks.broadcast(text);
  throw CommonError(static_cast<ExitStatus>(static_cast<int>(all[0])), text);
}

std::string agree_on_root(const Ranks& ranks, const std::function<std::string()>& part) {
  std::string text;
  Outcome mine;
  if (ranks.root()) {
    mine = outcome_of([&] { text = part(); });
    if (mine.status != 0)
      text = mine.text;
  }
  const int status = ranks.maximum(mine.status);
  ranks.broadcast(text);
  if (status != 0)
    throw CommonError(static_cast<ExitStatus>(status), text);
  return text;
}

int run_job(const std::function<int(const Ranks&)>& body) {
  Ranks ranks(nullptr, nullptr);
  try {
    return body(ranks);
  } catch (const CommonError& error) {
    if (ranks.root())
      print_error("", error.what());
    return error.status;
  } catch (const NumbersError& error) { // every rank has the same sums
    if (ranks.root())
      print_error("", error.what());
    return error.status;
  } catch (const Error& error) {
    end_alone(ranks, error.status, error.what());
  } catch (const std::exception& error) {
    end_alone(ranks, exit_failure, error.what());
  }
}

void use_isa(const std::string& isa, const std::string& key) {
  try {
    choose_isa(isa);
  } catch (const std::invalid_argument& error) {
    throw InputError(key + ": " + error.what());
  }
}

StartedRuntime start_runtime(const Ranks& ranks, bool share, const std::string& isa) {
  StartedRuntime started;
  RankDevice mine{Ranks::host(), 0, "", ""};
  agree(ranks, [&] {
    use_isa(isa, "debug.isa");
    mine.number = device_number(ranks.node_rank(), Runtime::devices());
    started.runtime = std::make_unique<Runtime>(mine.number);
    const Runtime::Device device = Runtime::device();
    mine.name = device.name;
    mine.id = device.id;
  });
  for (const std::string& text : ranks.gather(to_text(mine)))
    started.devices.push_back(rank_device(text));
  agree(ranks, [&] { refuse_shared(started.devices, share); });
  return started;
}

} // namespace weft
