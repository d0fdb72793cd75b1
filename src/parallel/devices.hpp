// Which GPU each rank takes. One rank per GPU, unless told otherwise.
#pragma once
#include <string>
#include <vector>

namespace weft {

/// What one rank took.
struct RankDevice {
  std::string host;
  int number = 0;   ///< among the devices that this rank sees
  std::string name; ///< for people
  std::string id;   ///< of the piece of hardware; empty: this build computes on the host and takes no device
};

/// The device that a rank takes of the `visible` ones: its number on its node, counted round. A launcher may show all
/// devices of a node to every rank, or each rank its own; both come out right.
int device_number(int node_rank, int visible);

/// Throws InputError where two ranks took the same device, unless `share`. The text names the ranks, the host and the
/// device. devices: of all ranks, in rank order.
void refuse_shared(const std::vector<RankDevice>& devices, bool share);

/// Ranks that took the same device as `rank`, itself included.
int ranks_sharing(const std::vector<RankDevice>& devices, int rank);

/// One line per rank: "rank 3 on node7: device 1, NVIDIA A100-SXM4-40GB (GPU-...)", and what shares its device.
std::vector<std::string> device_lines(const std::vector<RankDevice>& devices);

/// To and from one line of text, for sending.
std::string to_text(const RankDevice& device);
RankDevice rank_device(const std::string& text);

} // namespace weft
