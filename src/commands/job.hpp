// What the commands that run on several ranks share: start, agreement on errors, end.
#pragma once
#include "io/error.hpp"
#include "kernels/common/memory.hpp"
#include "parallel/devices.hpp"
#include "parallel/ranks.hpp"
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace weft {

/// Runs `body` on every rank and returns its status. An error that every rank meets alike is told once, by rank 0; an
/// error of one rank is told with its rank and host and ends the whole job: the others would wait for it for ever.
int run_job(const std::function<int(const Ranks&)>& body);

/// Runs `part` on every rank and compares the outcome: if all fail, the first error is thrown on all of them.
/// For work before the first step, where ranks can still disagree (a file that only one host sees).
void agree(const Ranks& ranks, const std::function<void()>& part);

/// Runs `part` on rank 0 alone; every rank returns its text. Where it fails, the error is thrown on all of them.
std::string agree_on_root(const Ranks& ranks, const std::function<std::string()>& part);

/// Takes this rank's device and starts the kernels' runtime on it, with instruction set `isa` (debug.isa) on the host.
/// Fails on all ranks together where one finds no usable device or lacks the instruction set, or where two took the
/// same device and `share` is false.
struct StartedRuntime {
  std::unique_ptr<Runtime> runtime;
  std::vector<RankDevice> devices; ///< of all ranks
};
StartedRuntime start_runtime(const Ranks& ranks, bool share, const std::string& isa);

/// choose_isa of kernels/common/isa.hpp; what the user named wrongly is an InputError that begins with `key`.
void use_isa(const std::string& isa, const std::string& key);

} // namespace weft
