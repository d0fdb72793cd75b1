// What carries gradients between ranks.
#pragma once
#include <string>
#include <vector>

namespace weft {

struct Transport {
  bool nccl = false;
  std::string why; ///< for the log: why not NCCL, on a GPU; empty where there is nothing to explain
};

/// wanted: parallel.transport. problems: of NCCL on each rank (nccl_problem()), in rank order; empty texts where there
/// is none. hosts: of the ranks. shared: some ranks share a device, which NCCL refuses. on_device: gradients lie on
/// GPUs. Throws InputError where NCCL was asked for by name and cannot be had.
Transport choose_transport(const std::string& wanted, const std::vector<std::string>& problems,
                           const std::vector<std::string>& hosts, bool shared, bool on_device);

} // namespace weft
