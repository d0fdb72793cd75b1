#include "commands/carrier.hpp"
#include "commands/job.hpp"
#include "parallel/nccl.hpp"
#include "parallel/transport.hpp"

namespace weft {

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

} // namespace weft
