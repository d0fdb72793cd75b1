#include "training/hosts_energy.hpp"
#include <limits>
#include <vector>

namespace weft {

HostsEnergy::HostsEnergy(const Ranks& ranks) : ranks_(ranks) {
  if (ranks.node_rank() == 0)
    meter_ = std::make_unique<EnergyMeter>();
  measured_ = ranks.maximum(meter_ && !meter_->available() ? 1 : 0) == 0;
  if (measured_ && meter_)
    source_ = meter_->source(); // rank 0 is the first of its host
}

double HostsEnergy::joules() {
  if (!measured_)
    return std::numeric_limits<double>::quiet_NaN();
  const std::vector<double> mine(meter_ ? 1 : 0, meter_ ? meter_->joules() : 0.0);
  double sum = 0;
  for (const double host : ranks_.gather(mine))
    sum += host;
  return sum;
}

} // namespace weft
