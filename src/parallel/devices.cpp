#include "parallel/devices.hpp"
#include "io/error.hpp"
#include <algorithm>
#include <array>
#include <fmt/format.h>

namespace weft {

namespace {
bool same(const RankDevice& a, const RankDevice& b) { return !a.id.empty() && a.host == b.host && a.id == b.id; }
} // namespace

int device_number(int node_rank, int visible) { return visible > 0 ? node_rank % visible : 0; }

void refuse_shared(const std::vector<RankDevice>& devices, bool share) {
  if (share)
    return;
  for (std::size_t rank = 0; rank < devices.size(); ++rank)
    for (std::size_t earlier = 0; earlier < rank; ++earlier)
      if (const RankDevice& d = devices[rank]; same(devices[earlier], d)) {
        const auto on_host =
            std::count_if(devices.begin(), devices.end(), [&](const RankDevice& o) { return o.host == d.host; });
        throw InputError(
            fmt::format("ranks {} and {} on {} both have device {} ({}, {}), expected one rank per GPU; start "
                        "fewer than the {} ranks there, give the job more GPUs, or set "
                        "parallel.share_device = true, which is slower",
                        earlier, rank, d.host, d.number, d.name, d.id, on_host));
      }
}

int ranks_sharing(const std::vector<RankDevice>& devices, int rank) {
  int sharing = 1;
  for (std::size_t other = 0; other < devices.size(); ++other)
    sharing += static_cast<int>(other) != rank && same(devices[other], devices[static_cast<std::size_t>(rank)]);
  return sharing;
}

std::vector<std::string> device_lines(const std::vector<RankDevice>& devices) {
  std::vector<std::string> lines;
  for (std::size_t rank = 0; rank < devices.size(); ++rank) {
    const RankDevice& d = devices[rank];
    if (d.id.empty())
      continue;
    std::string line = fmt::format("rank {} on {}: device {}, {} ({})", rank, d.host, d.number, d.name, d.id);
    for (std::size_t other = 0; other < devices.size(); ++other)
      if (other != rank && same(devices[other], d))
        line += fmt::format(", shared with rank {}", other);
    lines.push_back(line);
  }
  return lines;
}

std::string to_text(const RankDevice& d) { return fmt::format("{}\t{}\t{}\t{}", d.host, d.number, d.name, d.id); }

RankDevice rank_device(const std::string& text) {
  std::array<std::string, 4> parts;
  std::size_t begin = 0;
  for (std::string& part : parts) {
    const std::size_t end = text.find('\t', begin);
    part = text.substr(begin, end - begin);
    begin = end == std::string::npos ? text.size() : end + 1;
  }
  return {parts[0], std::stoi(parts[1]), parts[2], parts[3]};
}

} // namespace weft
