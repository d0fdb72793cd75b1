// Energy of all hosts of a run.
#pragma once
#include "io/energy.hpp"
#include "parallel/ranks.hpp"
#include <memory>
#include <string>

namespace weft {

/// One rank of every host reads its counters. Every call is for all ranks together, so that the sum is of one moment.
class HostsEnergy {
 public:
  explicit HostsEnergy(const Ranks& ranks);
  /// On rank 0: where the joules come from, or "not measured".
  const std::string& source() const { return source_; }
  /// Joules of all hosts since the last call, on every rank; NaN unless every host measures.
  double joules();

 private:
  const Ranks& ranks_;
  std::unique_ptr<EnergyMeter> meter_; ///< on one rank of each host
  bool measured_ = false;
  std::string source_ = "not measured";
};

} // namespace weft
