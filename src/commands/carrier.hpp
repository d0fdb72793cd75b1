#pragma once
#include "config/config.hpp"
#include "parallel/carrier.hpp"
#include "parallel/devices.hpp"
#include "parallel/ranks.hpp"
#include <memory>
#include <string>
#include <vector>

namespace weft {

/// What carries the gradients of the ranks (parallel.transport), agreed on by all of them; none: MPI. `description`: in
/// words, overwritten.
std::unique_ptr<Carrier> make_carrier(const Config& config, const Ranks& ranks, const std::vector<RankDevice>& devices,
                                      std::string& description);

} // namespace weft
