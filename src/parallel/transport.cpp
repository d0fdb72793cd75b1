#include "parallel/transport.hpp"
#include "io/error.hpp"
#include <fmt/core.h>

namespace weft {

Transport choose_transport(const std::string& wanted, const std::vector<std::string>& problems,
                           const std::vector<std::string>& hosts, bool shared, bool on_device) {
  if (wanted == "mpi")
    return {};
  std::string problem;
  if (shared)
    problem = "several ranks use one GPU (parallel.share_device), and NCCL takes one rank per GPU";
  for (std::size_t rank = 0; rank < problems.size() && problem.empty(); ++rank)
    if (!problems[rank].empty())
      problem = fmt::format("on rank {} ({}) {}", rank, hosts[rank], problems[rank]);
  if (problem.empty())
    // One rank has nothing to send; it starts NCCL only where somebody wants to see that.
    return {wanted == "nccl" || problems.size() > 1, ""};
  if (wanted == "nccl")
    throw InputError(fmt::format("got parallel.transport = \"nccl\", but {}; expected NCCL on every rank, or "
                                 "parallel.transport = \"auto\", which takes MPI instead",
                                 problem));
  return {false, on_device && problems.size() > 1 ? problem : ""};
}

} // namespace weft
